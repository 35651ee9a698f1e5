// proxygen's HTTP/1 codec behind this project's request policy.
//
// Every byte is read by the strict parser that the embedded engine uses before proxygen's codec
// sees it, so that both engines refuse the same requests with the same answers, whatever
// proxygen's own parser would let through or refuse. A body is passed on as it came, as far as it
// was accepted. Of a head the codec gets what it has to know, in words of this class's own: whether
// the request is a HEAD, how its body is framed, and whether the connection persists. The head
// itself goes to the handler; proxygen's parser knows 34 methods and stops at any Upgrade field.
//
//   head --whole head--> feeding --the codec has it--> body --its end--> head
//    |                      |                           |
//    +------refused---------+                           +--refused--> refused
//
// A head that is refused is fed as a stand-in request, which the handler answers with the refusal,
// so that the session ends as after any last answer.
//
// The codec never sees a request before the one ahead of it is answered: until then the session's
// reads are paused. proxygen itself would begin the next transaction and then leave it behind, open
// for ever, if the answer ahead of it turns out to be the connection's last one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/exchange.h"
#include "core/refusal.h"
#include "core/request_policy.h"
#include "engine_proxygen/compat.h"
#include "http1/request_parser.h"

namespace prowingen::proxygen_engine {

class EventThread;
class Handler;

/// A request as the gate read it.
struct GatedRequest {
  RequestHead head;
  RequestSemantics semantics;
  std::uint64_t head_size = 0;
  Verdict refusal = nullptr;  // the head's fault: it is not served
};

/// I/O thread only, as all of a codec is.
class Http1Gate final : public px::HTTP1xCodec,
                        private http1::BodySink,
                        private folly::HHWheelTimer::Callback {
 public:
  explicit Http1Gate(EventThread& thread);

  /// The gate whose input is being parsed on this thread.
  static Http1Gate* current();
  /// The request whose handler is being made, and who will handle it.
  GatedRequest take_request(Handler& handler);
  /// The handler is gone.
  void forget(const Handler& handler);
  /// The answer under way ends before it is whole, and with it the connection.
  void cut_answer();

  EventThread& thread() { return thread_; }
  /// The connection's ends, which its first request tells.
  const std::shared_ptr<const ConnectionInfo>& connection(px::HTTPMessage& message);

  // ---- the session
  std::size_t onIngress(const folly::IOBuf& input) override;
  void onIngressEOF() override;
  std::size_t generateEOM(folly::IOBufQueue& out, StreamID transaction) override;

 private:
  enum class Reading : std::uint8_t { head, feeding, body, refused };

  void read_head(std::string_view input);
  void read_body(std::string_view input);
  bool feed();
  void refuse_head(Verdict verdict);
  void timeoutExpired() noexcept override;
  void on_body(std::string_view) override {}

  EventThread& thread_;
  std::shared_ptr<const ConnectionInfo> connection_;

  Reading reading_ = Reading::head;
  GatedRequest request_;
  std::optional<http1::RequestParser> parser_;
  std::string joined_;  // input that came in several buffers
  // feeding: what the codec is given in place of a head, and what comes afterwards
  std::string told_;
  std::size_t told_size_ = 0;  // of which the codec has this much
  std::size_t head_size_ = 0;
  Reading after_head_ = Reading::head;
  // body
  std::size_t accepted_ = 0;  // bytes at the front of the input that the codec may have
  bool body_done_ = false;    // the last byte is among them
  Verdict body_refusal_ = nullptr;

  Handler* handler_ = nullptr;  // of the request that is being received or answered
  bool cut_ = false;
};

}  // namespace prowingen::proxygen_engine
