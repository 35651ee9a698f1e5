// A connection of HTTP/3: proxygen's session, which this one keeps within bounds.
//
//   QUIC --stream opens--> rejected if too many are at work
//        --bytes--> proxygen's buffer --onRead--> FrameWalk: announced too large, of no use?
//                        |
//                        +--> proxygen's codecs --> transactions and their handlers
//
// What costs a client nothing is counted as on HTTP/2 (http2/flood_guard.h), and its end is a
// CONNECTION_CLOSE with H3_EXCESSIVE_LOAD (RFC 9114 section 8.1). What has come and cannot be used
// yet is charged to the memory budget: parts of frames, and what QUIC holds unread.
#pragma once

#include <proxygen/lib/http/session/HQDownstreamSession.h>

#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/guarded_session.h"
#include "engine_proxygen/http3_frames.h"
#include "http2/flood_guard.h"

namespace prowingen::proxygen_engine {

inline constexpr std::uint64_t http3_stream_window = std::uint64_t{64} * 1024;
/// What all streams of a connection may have.
inline std::uint64_t http3_connection_window(const Options& options) {
  return static_cast<std::uint64_t>(options.max_streams) * http3_stream_window;
}
/// Three of them are in use (RFC 9114 section 6.2), and some clients open others that mean nothing.
inline constexpr std::uint64_t most_http3_unidirectional_streams = 16;

/// I/O thread only.
class Http3Session final : public px::HQDownstreamSession, public GuardedSession {
 public:
  /// `has_room`: for one connection more. `sessions` is told of it, as of the others.
  Http3Session(EventThread& thread, const std::function<bool()>& has_room,
               px::HTTPSessionBase::InfoCallback& sessions);

  /// What is to be dropped once the handshake is over, or with this session.
  void keep_until_connected(std::shared_ptr<void> thing) { until_connected_ = std::move(thing); }

  // ---- its controller
  EventThread& thread() { return thread_; }
  /// A request that no handler was told of. Null: its stream is reset.
  px::HTTPTransactionHandler* refuse(px::HTTPTransaction& stream, const px::HTTPException& error);
  /// One that proxygen takes for well formed. Its stream is reset.
  px::HTTPTransactionHandler* refuse_malformed(px::HTTPTransaction& stream,
                                               const px::HTTPMessage& message);
  /// One whose head has not come in time.
  px::HTTPTransactionHandler* refuse_late(px::HTTPTransaction& stream);

  // ---- GuardedSession
  void keep_counting(const std::shared_ptr<HandledExchange>& exchange) override;
  void read_stream(std::uint64_t stream, bool reads) override;
  void stop_reading(std::uint64_t stream) override;
  void settle_charge() override;
  MemoryHolding memory_held(SteadyTime now) const override;
  bool give_up() override;

  // ---- QUIC
  void onNewBidirectionalStream(quic::StreamId id) noexcept override;
  void onNewUnidirectionalStream(quic::StreamId id) noexcept override;
  void readAvailable(quic::StreamId id) noexcept override;
  void readError(quic::StreamId id, quic::QuicError error) noexcept override;
  void onStopSending(quic::StreamId id, quic::ApplicationErrorCode error) noexcept override;

 private:
  /// What the session tells, before it is passed on.
  class Events final : public px::HTTPSessionBase::InfoCallback {
   public:
    Events(Http3Session& session, InfoCallback& others) : session_(session), others_(others) {}
    InfoCallback& others() { return others_; }
    void onCreate(const px::HTTPSessionBase& session) override { others_.onCreate(session); }
    void onFullHandshakeCompletion(const px::HTTPSessionBase& session) override;
    void onIngressError(const px::HTTPSessionBase& session, px::ProxygenError error) override;
    void onRead(const px::HTTPSessionBase& session, std::size_t size,
                folly::Optional<px::HTTPCodec::StreamID> stream) override;
    void onActivateConnection(const px::HTTPSessionBase& session) override {
      others_.onActivateConnection(session);
    }
    void onDeactivateConnection(const px::HTTPSessionBase& session) override {
      others_.onDeactivateConnection(session);
    }
    void onTransactionDetached(const px::HTTPSessionBase& session) override;

   private:
    Http3Session& session_;
    InfoCallback& others_;
  };

  ~Http3Session() override;
  // proxygen would have answers repeat the request's priority, in a field that means something else
  // there: a server's own wishes (RFC 9218 section 5).
  folly::Optional<px::HTTPHeaders> getExtraHeaders(const px::HTTPMessage&,
                                                   quic::StreamId) override {
    return folly::none;
  }
  void runSessionLoopCallback() noexcept override;

  void look_at_request(quic::StreamId id, std::size_t size);
  void look_at_control(quic::StreamId id, std::size_t size);
  void look_at_frame(quic::StreamId id, std::uint64_t type, std::uint64_t length);
  void keep(quic::StreamId id, const FrameWalk& walk, bool ended);
  void forget_ended();
  void refuse_oversized();
  std::size_t most_streams() const;
  bool has_room_for_stream();
  void grant_streams();
  void note(http2::Flood kind);
  void note_reset(quic::StreamId id);
  void reset_malformed(const px::HTTPTransaction& stream, const px::HTTPMessage* message);
  void log_refused(const px::HTTPTransaction& stream, const Refusal& refusal, bool complete,
                   const px::HTTPMessage* message);
  void turn_away();
  void fail(std::string_view why);
  void complain(std::string_view why);
  const std::shared_ptr<const ConnectionInfo>& ends();
  std::uint64_t held();

  EventThread& thread_;
  const std::function<bool()> has_room_;
  Events events_;
  std::shared_ptr<void> until_connected_;
  bool shaken_ = false;  // the handshake is complete
  http2::FloodGuard guard_;
  std::unordered_map<quic::StreamId, FrameWalk> walks_;  // of streams that go on
  std::uint64_t parts_ = 0;                              // of frames, of all of them
  std::vector<quic::StreamId> oversized_;
  std::vector<std::shared_ptr<HandledExchange>> departed_;
  MemoryCharge charge_;
  SteadyTime held_since_ = {};
  std::uint64_t lost_window_ = 0;  // of the connection's, see held()
  bool leaving_ = false;
  bool over_ = false;
};

}  // namespace prowingen::proxygen_engine
