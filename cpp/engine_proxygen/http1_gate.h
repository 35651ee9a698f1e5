// proxygen's HTTP/1 codec behind this project's request policy.
//
// Every byte is read by the strict parser that the embedded engine uses before proxygen's codec
// sees it, so that both engines refuse the same requests with the same answers, whatever
// proxygen's own parser would let through. A byte is passed on when it is part of a head or a body
// that was accepted so far; the codec then frames, and the session manages, as always.
//
// A refused head reaches the session as a stand-in request, which the handler answers with the
// refusal: so it takes its turn behind the answers before it, as an answer should.
#pragma once

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
class Http1Gate final : public px::HTTP1xCodec, private http1::BodySink {
 public:
  Http1Gate(EventThread& thread, unsigned listener);

  /// The request whose handler is being made, and who will handle it.
  GatedRequest take_request(Handler& handler);
  /// The handler is gone.
  void forget(const Handler& handler);

  std::size_t onIngress(const folly::IOBuf& input) override;
  void onIngressEOF() override;

  /// The gate whose input is being parsed on this thread.
  static Http1Gate* current();

  EventThread& thread() { return thread_; }
  unsigned listener() const { return listener_; }
  /// Fills in the addresses when the first request brings them.
  const std::shared_ptr<const ConnectionInfo>& connection(px::HTTPMessage& message);

 private:
  enum class Reading : std::uint8_t { head, body, refused };

  void vet(std::string_view input);
  void refuse(Verdict verdict);
  void deliver_refusal();
  void on_body(std::string_view) override {}

  EventThread& thread_;
  const unsigned listener_;
  std::shared_ptr<const ConnectionInfo> connection_;
  Reading reading_ = Reading::head;
  GatedRequest request_;
  std::optional<http1::RequestParser> parser_;
  std::string joined_;         // input that came in several buffers
  std::size_t vetted_ = 0;     // bytes at the front of the input that the codec may have
  bool request_done_ = false;  // its last byte is among them
  bool partial_head_ = false;
  Verdict body_refusal_ = nullptr;
  Handler* handler_ = nullptr;  // of the request that is being received
};

}  // namespace prowingen::proxygen_engine
