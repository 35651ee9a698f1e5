// HTTP/2 for proxygen's sessions: what comes in is read as this project reads it (http2/), heads
// and trailers are compressed by it, and the other frames are proxygen's to write.
//
//   session --bytes--> FrameReader --> HeadReader --> exchange
//      ^                    |
//      +--requests, content, windows, settings, errors--+
//
// proxygen's own codec takes frames on idle and closed streams, malformed requests and faulty
// compression, counts no floods, parses heads into a table that WSGI would take apart again, and
// writes them from another. It is the base class for the other frames, for what the session asks a
// codec, and since it has to know the client's settings.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine_proxygen/compat.h"
#include "engine_proxygen/exchange.h"
#include "engine_proxygen/read_share.h"
#include "http2/field_encoder.h"
#include "http2/frame_reader.h"

namespace prowingen::proxygen_engine {

class EventThread;

/// I/O thread only, as all of a codec is.
class Http2Codec final : public px::HTTP2Codec, private http2::FrameEvents, private LoopTimer {
 public:
  explicit Http2Codec(EventThread& thread);

  // ---- the event thread
  /// The session has been made.
  void attach(px::HTTPSessionBase& session) { session_ = &session; }
  /// What a header block, or another frame, holds that is not whole, see Handler, and what is made
  /// for a client that does not read it. give_up() gives up the block's request, or else ends the
  /// connection. False: there is nothing of that by now.
  MemoryHolding memory_held(SteadyTime now) const;
  bool give_up();
  /// Frames that wait may have been sent.
  void look_at_output(SteadyTime now);

  // ---- the handler
  /// The request that the session is being told of.
  std::shared_ptr<HandledExchange> take_request();
  /// The stream is over. It counts for as long as a worker is on its request: else a client could
  /// have the workers do any number of them (CVE-2023-44487).
  void keep_counting(const std::shared_ptr<HandledExchange>& exchange);
  /// Content has come to the handler, all that there was of this stream.
  void note_taken(std::int64_t stream);
  /// What the session holds of the stream's content for a handler that reads no further.
  MemoryHolding content_waiting(std::int64_t stream, SteadyTime now);

  /// The next head is that of `message`, with these fields in place of its own. They, and what they
  /// are views of, stay until it is sent.
  void set_fields(const px::HTTPMessage& message, std::span<const http2::HeaderField> fields);
  /// The end of the stream's answer is a reset.
  void fail_at_end(std::int64_t stream) { failing_.push_back(static_cast<StreamID>(stream)); }
  /// Octets of frames that were made for the connection's socket, and it has not taken.
  std::size_t output() const { return out_ == nullptr ? 0 : out_->chainLength(); }

  // ---- the session
  std::size_t onIngress(const folly::IOBuf& input) noexcept override;
  void setParserPaused(bool paused) override;
  const px::HTTPSettings* getIngressSettings() const override { return &client_settings_; }
  void generateHeader(folly::IOBufQueue& out, StreamID stream, const px::HTTPMessage& message,
                      bool last, px::HTTPHeaderSize* size,
                      const folly::Optional<px::HTTPHeaders>& extra) override;
  std::size_t generateBody(folly::IOBufQueue& out, StreamID stream,
                           std::unique_ptr<folly::IOBuf> body,
                           folly::Optional<std::uint8_t> padding, bool last) override;
  std::size_t generateTrailers(folly::IOBufQueue& out, StreamID stream,
                               const px::HTTPHeaders& trailers) override;
  std::size_t generateEOM(folly::IOBufQueue& out, StreamID stream) override;
  std::size_t generateRstStream(folly::IOBufQueue& out, StreamID stream,
                                px::ErrorCode code) override;
  std::size_t generatePingReply(folly::IOBufQueue& out, std::uint64_t data) override;

 private:
  RequestHead* open(std::int32_t stream) override;
  void on_request(std::int32_t stream, const http2::HeadReader::Result& head, bool whole) override;
  void on_content(std::int32_t stream, std::string_view bytes, std::size_t padding) override;
  void on_dropped(std::string_view bytes) override;
  void on_trailers(std::int32_t stream, const FieldSection& fields) override;
  void on_request_end(std::int32_t stream) override;
  void on_reset(std::int32_t stream, std::uint32_t code) override;
  void on_stream_error(std::int32_t stream, http2::ErrorCode code, std::string_view why) override;
  void on_window_update(std::int32_t stream, std::uint32_t size) override;
  void on_settings(std::string_view pairs) override;
  void on_settings_ack() override { callback_->onSettingsAck(); }
  void on_ping(std::string_view payload, bool ack) override;

  void timeoutExpired() noexcept override;
  void settle_charge();
  std::size_t write_block(folly::IOBufQueue& out, StreamID stream, std::string_view status,
                          std::span<const http2::HeaderField> fields, bool last);
  void end_answer(StreamID stream);
  void await_block();
  void end_connection();
  std::unique_ptr<folly::IOBuf> part_of_input(std::string_view bytes) const;
  void tell_base(std::string_view frames);
  void refuse_malformed(std::int32_t stream);
  const std::shared_ptr<const ConnectionInfo>& ends();
  bool has_room_for_stream();

  EventThread& thread_;
  px::HTTPSessionBase* session_ = nullptr;
  http2::FrameReader reader_;
  http2::FieldEncoder encoder_;
  const px::HTTPMessage* next_head_ = nullptr;  // that set_fields() told of
  std::span<const http2::HeaderField> next_fields_;
  px::HTTPSettings client_settings_;
  const folly::IOBuf* input_ = nullptr;        // that onIngress() is in
  std::shared_ptr<HandledExchange> incoming_;  // until its handler takes it
  std::vector<std::shared_ptr<HandledExchange>> departed_;
  std::int32_t resetting_ = 0;              // the stream whose error the session is being told of
  std::vector<StreamID> failing_;           // whose answers end in a reset
  const folly::IOBufQueue* out_ = nullptr;  // the session's: frames that its socket is to take
  SteadyTime output_since_ = {};            // that some of it waits
  bool window_overflows_ = false;           // by SETTINGS that the session is being told of
  ReadShare read_share_;
  std::uint64_t requests_ = 0;
  std::uint64_t padding_ = 0;
  std::string pings_;               // payloads that are to be sent back
  std::int32_t awaited_block_ = 0;  // whose time it is
  SteadyTime waits_since_ = {};     // for the rest of a frame or block
  bool content_taken_ = false;      // that on_content() told of
  MemoryCharge charge_;
  bool over_ = false;
  bool watched_ = false;  // whether its client goes while nothing is read
};

}  // namespace prowingen::proxygen_engine
