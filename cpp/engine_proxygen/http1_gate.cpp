#include "engine_proxygen/http1_gate.h"

#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/handler.h"

namespace prowingen::proxygen_engine {
namespace {

constexpr std::string_view stand_in = "GET / HTTP/1.0\r\n\r\n";

// What the codec has to know of an accepted head.
std::string framing_head(const RequestHead& head, const RequestSemantics& semantics) {
  const bool http_1_0 = head.version == HttpVersion{1, 0};
  std::string told;
  told.append(head.method() == "HEAD"                  ? "HEAD"
              : semantics.framing == BodyFraming::none ? "GET"
                                                       : "POST");
  told.append(http_1_0 ? " / HTTP/1.0\r\n" : " / HTTP/1.1\r\n");
  if (http_1_0 && semantics.keep_alive) told.append("Connection: keep-alive\r\n");
  if (!http_1_0 && !semantics.keep_alive) told.append("Connection: close\r\n");
  if (semantics.framing == BodyFraming::chunked) {
    told.append("Transfer-Encoding: chunked\r\n");
  } else if (semantics.framing == BodyFraming::content_length) {
    told.append("Content-Length: ").append(std::to_string(semantics.content_length));
    told.append("\r\n");
  }
  return told.append("\r\n");
}

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

Http1Gate::Http1Gate(EventThread& thread)
    : HTTP1xCodec(px::TransportDirection::DOWNSTREAM), thread_(thread) {}

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

void Http1Gate::cut_answer() {
  cut_ = true;
  // Tells the codec, and so the session, that the connection does not persist.
  folly::IOBufQueue nothing;
  generateRstStream(nothing, 0, px::ErrorCode::NO_ERROR);
}

std::size_t Http1Gate::generateEOM(folly::IOBufQueue& out, StreamID transaction) {
  if (!cut_) return HTTP1xCodec::generateEOM(out, transaction);
  // No last chunk: the connection's end must not make the answer look whole.
  folly::IOBufQueue nothing;
  HTTP1xCodec::generateEOM(nothing, transaction);
  return 0;
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
  if (reading_ == Reading::head) {
    if (handler_ != nullptr) {
      handler_->hold_input();
      return 0;
    }
    if (bytes.starts_with("\r\n")) return 2;  // RFC 9112 section 2.2
    read_head(bytes);
  }
  if (reading_ == Reading::feeding) return feed() ? head_size_ : 0;
  if (reading_ != Reading::body) return 0;

  read_body(bytes);
  std::size_t used = 0;
  if (accepted_ != 0) {
    folly::IOBuf part;
    folly::io::Cursor(&input).clone(part, accepted_);
    const Parsing parsing(this);
    used = HTTP1xCodec::onIngress(part);
    accepted_ -= used;
  }
  if (accepted_ != 0) return used;
  if (body_refusal_ != nullptr) {
    reading_ = Reading::refused;
    if (handler_ != nullptr) handler_->refuse(*body_refusal_);
    return size;
  }
  if (body_done_) reading_ = Reading::head;
  return used;
}

void Http1Gate::read_head(std::string_view input) {
  using Outcome = http1::RequestParser::Outcome;
  const auto& limits = thread_.limits();
  head_size_ = input.size();  // of a head that is refused: all there is
  if (input.substr(0, input.find('\n')).size() > limits.max_request_line + 1) {
    return refuse_head(&refusal(RequestFault::request_line_too_long));
  }
  request_.head.clear();
  http1::RequestParser::Progress progress{Outcome::need_more};
  if (input.find('\n') != std::string_view::npos) {  // else not even a first line is there
    parser_.emplace(request_.head, limits, static_cast<BodySink&>(*this));
    progress = parser_->parse_head(input);
  }
  if (progress.outcome == Outcome::refused) return refuse_head(progress.verdict);
  if (progress.outcome == Outcome::need_more) {
    if (input.size() > limits.max_request_line + limits.max_header_bytes) {
      return refuse_head(&refusal(RequestFault::header_too_large));
    }
    if (!isScheduled()) {
      thread_.loop().timer().scheduleTimeout(this,
                                             to_milliseconds(thread_.options().header_timeout));
    }
    return;
  }
  cancelTimeout();
  if (auto verdict = check_header_section(request_.head, limits, request_.semantics)) {
    return refuse_head(verdict);
  }
  request_.head_size = head_size_ = progress.consumed;
  told_ = framing_head(request_.head, request_.semantics);
  told_size_ = 0;
  after_head_ = progress.outcome == Outcome::request_done ? Reading::head : Reading::body;
  reading_ = Reading::feeding;
  body_done_ = false;
}

// True: the codec has all of it. It stops midway where the session pauses it.
bool Http1Gate::feed() {
  const folly::IOBuf part(folly::IOBuf::WRAP_BUFFER, told_.data() + told_size_,
                          told_.size() - told_size_);
  {
    const Parsing parsing(this);
    told_size_ += HTTP1xCodec::onIngress(part);
  }
  if (told_size_ != told_.size()) return false;
  reading_ = after_head_;
  return true;
}

// Reads on behind what is accepted, up to the end of the body: what follows is looked at when the
// codec has this.
void Http1Gate::read_body(std::string_view input) {
  using Outcome = http1::RequestParser::Outcome;
  while (accepted_ < input.size() && !body_done_ && body_refusal_ == nullptr) {
    const auto progress = parser_->parse_body(input.substr(accepted_));
    accepted_ += progress.consumed;
    body_done_ = progress.outcome == Outcome::request_done;
    if (progress.outcome == Outcome::refused) {
      body_refusal_ = progress.verdict;
      thread_.count_refusal();
    }
    if (progress.consumed == 0) return;
  }
}

void Http1Gate::refuse_head(Verdict verdict) {
  cancelTimeout();
  thread_.count_refusal();
  request_.refusal = verdict;
  told_ = stand_in;
  told_size_ = 0;
  after_head_ = Reading::refused;
  reading_ = Reading::feeding;
}

// A head that has begun is not whole in time.
void Http1Gate::timeoutExpired() noexcept {
  refuse_head(&refusal(RequestFault::request_timeout));
  setParserPaused(false);
  feed();
}

void Http1Gate::onIngressEOF() {
  const Parsing parsing(this);
  HTTP1xCodec::onIngressEOF();
}

}  // namespace prowingen::proxygen_engine
