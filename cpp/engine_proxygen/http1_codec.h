// HTTP/1 for proxygen's sessions, as this project reads and writes it.
//
// A session leaves the bytes to its codec. This one reads with the strict parser and writes with
// the writer that the embedded engine uses, so that both engines refuse the same requests and put
// the same bytes on the wire. proxygen's own codec accepts bare LF, joins folded lines, knows 34
// methods, stops at any Upgrade field and parses a head into a table that WSGI would take apart
// again. It is the base class only for what a release of proxygen may add to a codec's interface.
//
//   head --whole head--> head or body     body --its end--> head
//     |                    |                head --may upgrade--> undecided --> head or opaque
//     +----- refused ------+---> ignored <--- a last answer
//
// The session is told of a request when the one ahead of it is answered, and its reads are paused
// until then. It would otherwise begin the next transaction, and leave it open for ever if the
// answer ahead of it turned out to be the connection's last one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine_proxygen/compat.h"
#include "engine_proxygen/exchange.h"
#include "engine_proxygen/linger.h"
#include "engine_proxygen/rate_watch.h"
#include "engine_proxygen/read_share.h"
#include "http/refusal.h"
#include "http/response_policy.h"
#include "http1/request_parser.h"

namespace prowingen::proxygen_engine {

class EventThread;
class Http1Handler;

/// Until input that waits has been read: several turns of a loop, and little to whoever waits for
/// the end of a connection.
inline constexpr std::chrono::milliseconds look_again_time{50};

/// I/O thread only, as all of a codec is.
class Http1Codec final : public px::HTTP1xCodec, private http1::BodySink, private LoopTimer {
 public:
  explicit Http1Codec(EventThread& thread);

  // ---- the event thread
  /// The session has been made.
  void attach(px::HTTPSessionBase& session);
  /// The next answer is the last; a connection that waits for a request closes.
  void drain();
  /// Tells the memory budget what is held of a head, and of answers that the socket has not taken.
  void settle_charge();
  /// What was made for the connection's socket, and it has not taken.
  std::uint64_t output() const;
  std::uint64_t memory_charged() const { return charge_.bytes(); }
  /// What an unfinished head holds, see Handler; give_up_head() refuses it. False: it is whole by
  /// now.
  MemoryHolding memory_held(SteadyTime now) const;
  bool give_up_head();

  // ---- the handler
  /// The request that the session is being told of, which this handler answers. It is refused if it
  /// has a `refusal`.
  std::shared_ptr<HandledExchange> take_request(Http1Handler& handler);
  /// The handler is gone.
  void forget(const Http1Handler& handler);
  /// False: whatever the client wants, the next answer is the connection's last.
  bool persists() const { return reusable_ && !draining_; }
  /// What the next sendHeaders() writes, in place of its message: the head, and with it as much of
  /// the body as there is already.
  std::string& text() { return text_; }
  /// The answer to a request that offers other protocols is there, and says whether one follows;
  /// if none, whether what comes is read as requests.
  void settle_upgrade(bool switches, bool goes_on);
  /// Nothing more is written, and what comes is read.
  void half_close();
  /// How the answer goes on after that.
  void announce(ResponseFraming framing, bool keep_alive);
  /// What follows the content of an answer in chunks.
  void end_with(const FieldSection& trailers) { trailers_ = trailers; }
  /// The answer ends before it is whole, and with it the connection.
  void cut_answer() { cut_ = true; }
  /// What else comes in is not worth reading: the answer is the connection's last, whatever its
  /// head said.
  void stop_reading();

  /// Closes it now, whatever is under way.
  void drop_connection();
  /// Bytes that the socket has given, of TLS those of records that are not whole, too.
  std::uint64_t received() const;
  bool has_unread_input() const;
  /// Bytes of answers that the client's side has taken.
  std::uint64_t acknowledged() const;

  EventThread& thread() { return thread_; }

  // ---- the session: reading
  void setCallback(px::HTTPCodec::Callback* callback) override;
  std::size_t onIngress(const folly::IOBuf& input) override;
  void onIngressEOF() override;
  void setParserPaused(bool paused) override;
  bool isParserPaused() const override { return paused_; }
  /// Nor is a session dropped as idle that lingers.
  bool isBusy() const override {
    return request_pending_ || response_pending_ || (ends_ && reusable_);
  }
  bool isReusable() const override { return reusable_; }
  /// A session that drains ends with its last transaction, unless there could be others beside it.
  /// That is what this says of one whose answer promised to go on before the drain began: its
  /// client may have sent the next request, and is told with the answer to that.
  bool supportsParallelRequests() const override {
    return draining_ && keep_alive_ && reusable_ && !request_pending_ && !response_pending_;
  }
  bool isWaitingToDrain() const override { return draining_ && reusable_; }
  bool closeOnEgressComplete() const override { return !response_pending_ && !reusable_; }

  // ---- the session: writing
  void generateHeader(folly::IOBufQueue& out, StreamID transaction, const px::HTTPMessage& message,
                      bool last, px::HTTPHeaderSize* size,
                      const folly::Optional<px::HTTPHeaders>& extra) override;
  std::size_t generateBody(folly::IOBufQueue& out, StreamID transaction,
                           std::unique_ptr<folly::IOBuf> body, folly::Optional<std::uint8_t>,
                           bool last) override;
  std::size_t generateEOM(folly::IOBufQueue& out, StreamID transaction) override;
  std::size_t generateRstStream(folly::IOBufQueue& out, StreamID transaction,
                                px::ErrorCode code) override;
  std::size_t generateGoaway(folly::IOBufQueue& out, StreamID last, px::ErrorCode code,
                             std::unique_ptr<folly::IOBuf> data) override;
  std::size_t generateImmediateGoaway(folly::IOBufQueue& out, px::ErrorCode code,
                                      std::unique_ptr<folly::IOBuf> data) override;

 private:
  enum class Reading : std::uint8_t { head, body, undecided, opaque, ignored };
  /// What the timer runs for: a connection's first request or its next to begin, or one that has
  /// begun to show a whole head.
  enum class Awaited : std::uint8_t { first_request, next_request, head };

  std::size_t read_head(std::string_view input);
  std::size_t read_body(const folly::IOBuf& input);
  void refuse_head(Verdict verdict, std::size_t bytes);
  void begin();
  void announce_request(bool whole);
  std::size_t read_opaque(const folly::IOBuf& input);
  void end_request();
  void on_body(std::string_view bytes) override;
  void on_trailer(std::string_view name, std::string_view value) override;
  void timeoutExpired() noexcept override;
  void await(Awaited awaited);
  void await_next_request();
  void end_connection();

  EventThread& thread_;
  px::HTTPCodec::Callback* callback_ = nullptr;
  px::HTTPSessionBase* session_ = nullptr;
  std::shared_ptr<const ConnectionInfo> connection_;
  unsigned listener_ = 0;
  StreamID id_ = 0;  // of the request that is being received or answered

  Reading reading_ = Reading::head;
  bool paused_ = false;
  ReadShare read_share_;
  bool request_pending_ = false;
  Awaited awaited_ = Awaited::first_request;    // while the timer runs
  bool looks_again_ = false;                    // the time is over, but something had come
  std::size_t scanned_ = 0;                     // of a head that is not whole: bytes looked at
  std::unique_ptr<px::HTTPMessage> message_;    // of a request that has begun
  std::shared_ptr<HandledExchange> incoming_;   // until its handler takes it
  std::shared_ptr<HandledExchange> receiving_;  // whose body the parser is at
  std::optional<http1::RequestParser> parser_;
  const folly::IOBuf* input_ = nullptr;  // that read_body() is in
  Http1Handler* handler_ = nullptr;      // of the request that is being received or answered

  std::string text_;
  ResponseFraming framing_ = ResponseFraming::none;
  std::optional<FieldSection> trailers_;  // of the answer
  bool head_request_ = false;
  bool response_pending_ = false;
  bool keep_alive_ = true;  // as the answer's head says
  bool cut_ = false;
  std::uint64_t ignored_ = 0;
  bool ends_ = false;  // its last answer is generated
  bool reusable_ = true;
  bool draining_ = false;
  bool told_to_drain_ = false;   // by the session
  bool watched_ = false;         // whether its client goes while it is paused
  std::uint64_t generated_ = 0;  // bytes so far
  Linger linger_;
  RateWatch head_rate_;
  MemoryCharge charge_;
};

}  // namespace prowingen::proxygen_engine
