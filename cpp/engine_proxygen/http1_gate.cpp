#include "engine_proxygen/http1_gate.h"

#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/handler.h"

namespace prowingen::proxygen_engine {
namespace {

// What the codec is given in place of a head that was refused.
constexpr std::string_view stand_in = "GET / HTTP/1.0\r\n\r\n";

thread_local Http1Gate* parsing_gate = nullptr;

class Parsing {
 public:
  explicit Parsing(Http1Gate* gate) : before_(std::exchange(parsing_gate, gate)) {}
  ~Parsing() { parsing_gate = before_; }
  Parsing(const Parsing&) = delete;
  Parsing& operator=(const Parsing&) = delete;

 private:
  Http1Gate* before_;
};

void name_end(const folly::SocketAddress& address, std::string& host, std::string& port) {
  if (!address.isInitialized() || !address.isFamilyInet()) return;  // a Unix socket has no name
  host = address.getAddressStr();
  port = std::to_string(address.getPort());
}

}  // namespace

Http1Gate* Http1Gate::current() { return parsing_gate; }

Http1Gate::Http1Gate(EventThread& thread, unsigned listener)
    : HTTP1xCodec(px::TransportDirection::DOWNSTREAM), thread_(thread), listener_(listener) {}

const std::shared_ptr<const ConnectionInfo>& Http1Gate::connection(px::HTTPMessage& message) {
  if (!connection_) {
    auto info = std::make_shared<ConnectionInfo>();
    name_end(message.getClientAddress(), info->remote_address, info->remote_port);
    name_end(message.getDstAddress(), info->local_address, info->local_port);
    connection_ = std::move(info);
  }
  return connection_;
}

GatedRequest Http1Gate::take_request(Handler& handler) {
  handler_ = &handler;
  return std::exchange(request_, {});
}

void Http1Gate::forget(const Handler& handler) {
  if (handler_ == &handler) handler_ = nullptr;
}

std::size_t Http1Gate::onIngress(const folly::IOBuf& input) {
  const std::size_t size = input.computeChainDataLength();
  if (reading_ == Reading::refused) return size;  // nobody reads what follows
  std::string_view bytes(reinterpret_cast<const char*>(input.data()), input.length());
  if (input.isChained()) {
    joined_.clear();
    for (const auto range : input) {
      joined_.append(reinterpret_cast<const char*>(range.data()), range.size());
    }
    bytes = joined_;
  }
  vet(bytes);
  std::size_t used = 0;
  if (vetted_ != 0) {
    folly::IOBuf part;
    folly::io::Cursor(&input).clone(part, vetted_);
    const Parsing parsing(this);
    used = HTTP1xCodec::onIngress(part);
    vetted_ -= used;
    if (vetted_ == 0 && std::exchange(request_done_, false)) {
      reading_ = reading_ == Reading::refused ? reading_ : Reading::head;
      handler_ = nullptr;
    }
  }
  if (reading_ == Reading::refused && vetted_ == 0) {
    deliver_refusal();
    return size;
  }
  return used;
}

// Reads on behind what is vetted, up to the end of the request: what follows belongs to the next
// one, which is looked at when the codec has this one.
void Http1Gate::vet(std::string_view input) {
  using Outcome = http1::RequestParser::Outcome;
  while (vetted_ < input.size() && !request_done_ && reading_ != Reading::refused) {
    const auto rest = input.substr(vetted_);
    if (reading_ == Reading::body) {
      const auto progress = parser_->parse_body(rest);
      vetted_ += progress.consumed;
      if (progress.outcome == Outcome::refused) return refuse(progress.verdict);
      if (progress.outcome == Outcome::request_done) request_done_ = true;
      if (progress.consumed == 0) return;
      continue;
    }
    if (vetted_ != 0) return;  // the codec has not taken the request before this one
    if (rest.starts_with("\r\n")) {
      vetted_ += 2;  // RFC 9112 section 2.2
      return;
    }
    const auto& limits = thread_.limits();
    if (rest.substr(0, rest.find('\n')).size() > limits.max_request_line + 1) {
      return refuse(&refusal(RequestFault::request_line_too_long));
    }
    request_.head.clear();
    parser_.emplace(request_.head, limits, static_cast<BodySink&>(*this));
    const auto progress = parser_->parse_head(rest);
    partial_head_ = progress.outcome == Outcome::need_more;
    if (progress.outcome == Outcome::refused) return refuse(progress.verdict);
    if (partial_head_) {
      if (rest.size() > limits.max_request_line + limits.max_header_bytes) {
        refuse(&refusal(RequestFault::header_too_large));
      }
      return;
    }
    if (auto verdict = check_header_section(request_.head, limits, request_.semantics)) {
      return refuse(verdict);
    }
    request_.head_size = progress.consumed;
    vetted_ += progress.consumed;
    if (progress.outcome == Outcome::request_done) {
      request_done_ = true;
    } else {
      reading_ = Reading::body;
    }
  }
}

void Http1Gate::refuse(Verdict verdict) {
  thread_.count_refusal();
  (reading_ == Reading::head ? request_.refusal : body_refusal_) = verdict;
  reading_ = Reading::refused;
}

// When the codec has everything before the fault, so that the handler of a bad body is there.
void Http1Gate::deliver_refusal() {
  if (body_refusal_ != nullptr) {
    if (handler_ != nullptr) handler_->refuse(*body_refusal_);
    return;
  }
  const folly::IOBuf bytes(folly::IOBuf::WRAP_BUFFER, stand_in.data(), stand_in.size());
  const Parsing parsing(this);
  HTTP1xCodec::onIngress(bytes);
}

void Http1Gate::onIngressEOF() {
  // Half a request: whoever sent it may still read.
  if (reading_ == Reading::body || (reading_ == Reading::head && partial_head_)) {
    refuse(&refusal(RequestFault::truncated));
    deliver_refusal();
  }
  const Parsing parsing(this);
  HTTP1xCodec::onIngressEOF();
}

}  // namespace prowingen::proxygen_engine
