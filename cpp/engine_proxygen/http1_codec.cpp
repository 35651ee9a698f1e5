#include "engine_proxygen/http1_codec.h"

#include <algorithm>

#include "core/engine_figures.h"
#include "core/unacknowledged.h"
#include "core/unread_input.h"
#include "engine_proxygen/announcing.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/http1_handler.h"
#include "http/request_policy.h"
#include "http1/response_writer.h"
#include "proxies/proxies.h"

namespace prowingen::proxygen_engine {

Http1Codec::Http1Codec(EventThread& thread)
    : HTTP1xCodec(px::TransportDirection::DOWNSTREAM),
      thread_(thread),
      head_rate_(
          thread,
          [this] {
            return Moved{scanned_, received()};
          },
          [this] { give_up_head(); }),
      charge_(thread.context().memory.get()) {}

void Http1Codec::attach(px::HTTPSessionBase& session) {
  session_ = &session;
  listener_ = thread_.listener_of(session);
  await(Awaited::first_request);
}

void Http1Codec::setCallback(px::HTTPCodec::Callback* callback) {
  callback_ = callback;
  HTTP1xCodec::setCallback(callback);
}

std::shared_ptr<HandledExchange> Http1Codec::take_request(Http1Handler& handler) {
  if (!connection_) connection_ = thread_.ends_of(*session_);
  incoming_->peer = connection_;
  incoming_->listener = listener_;
  if (connection_->from_proxy && incoming_->refusal == nullptr) {
    incoming_->peer = thread_.context().proxies.ends_of(incoming_->request, connection_);
  }
  handler_ = &handler;
  return std::move(incoming_);
}

void Http1Codec::forget(const Http1Handler& handler) {
  if (handler_ != &handler) return;
  handler_ = nullptr;
  if (reading_ == Reading::body) reading_ = Reading::ignored;
}

// ---------------------------------------------------------------------------- reading

std::size_t Http1Codec::onIngress(const folly::IOBuf& input) {
  read_share_.renew(thread_, *session_);
  if (input.isChained()) {  // a parser wants its input in one piece
    const folly::IOBuf whole = input.cloneCoalescedAsValue();
    return onIngress(whole);
  }
  switch (reading_) {
    case Reading::ignored:
      ignored_ += input.length();
      if (ignored_ > thread_.options().drain_limit && !linger_.end() && handler_ != nullptr) {
        handler_->hold_input();  // until the answer is out
      }
      return input.length();
    case Reading::body: return read_body(input);
    case Reading::opaque: return read_opaque(input);
    case Reading::undecided:
    case Reading::head: break;
  }
  if (handler_ != nullptr) {
    handler_->hold_input();
    return 0;
  }
  return read_head({reinterpret_cast<const char*>(input.data()), input.length()});
}

std::size_t Http1Codec::read_head(std::string_view input) {
  using Outcome = http1::RequestParser::Outcome;
  if (input.starts_with("\r\n")) return 2;  // RFC 9112 section 2.2
  if (input == "\r") return 0;
  const auto& limits = thread_.limits();
  // A head is tried again when a further line has come in: a parser that starts over each time
  // cannot care where the input was cut, and bytes that come one by one cost no more than lines.
  const bool further_line = input.find('\n', scanned_) != std::string_view::npos;
  const auto first_line = input.substr(0, input.find('\n'));
  http1::RequestParser::Progress progress{Outcome::need_more};
  if (first_line.size() > limits.max_request_line + 1) {
    progress = {Outcome::refused, 0, &refusal(RequestFault::request_line_too_long)};
  } else if (further_line) {
    incoming_ = thread_.make_exchange();
    parser_.emplace(incoming_->request, limits, static_cast<BodySink&>(*this));
    progress = parser_->parse_head(input);
  } else if (input.size() > limits.max_request_line + limits.max_header_bytes) {
    progress = {Outcome::refused, 0, &refusal(RequestFault::header_too_large)};
  }
  if (progress.outcome == Outcome::refused) {
    refuse_head(progress.verdict, input.size());
    return input.size();
  }
  if (progress.outcome == Outcome::need_more) {
    if (incoming_) thread_.recycle(std::move(incoming_));
    scanned_ = input.size();
    if (!message_) await(Awaited::head);
    begin();
    head_rate_.wait();
    charge_.set(scanned_);
    thread_.look_at_memory();
    return 0;
  }
  RequestSemantics semantics;
  if (auto verdict = check_header_section(incoming_->request, limits, semantics)) {
    refuse_head(verdict, input.size());
    return input.size();
  }
  HandledExchange& exchange = *incoming_;
  exchange.bytes_in = progress.consumed;
  exchange.keep_alive = semantics.keep_alive;
  const bool whole = progress.outcome == Outcome::request_done;
  exchange.has_body = !whole;
  exchange.expects_continue = semantics.expects_continue;
  if (exchange.has_body) exchange.expect_body(semantics, thread_.options());
  if (semantics.framing == BodyFraming::content_length) {
    exchange.body_left = semantics.content_length;
  }
  exchange.may_upgrade = whole && semantics.upgrade;
  announce_request(whole);
  return progress.consumed;
}

void Http1Codec::refuse_head(Verdict verdict, std::size_t bytes) {
  thread_.count_refusal();
  if (!incoming_) incoming_ = thread_.make_exchange();
  incoming_->bytes_in = bytes;
  incoming_->refusal = verdict;
  reading_ = Reading::ignored;
  announce_request(true);
}

// Begins the transaction: with the head's first bytes, so that a head that never ends is answered.
void Http1Codec::begin() {
  if (message_) return;
  ++id_;
  request_pending_ = response_pending_ = true;
  cut_ = false;
  message_ = thread_.make_message();
  callback_->onMessageBegin(id_, message_.get());
}

// Makes the request known, whose handler takes it.
void Http1Codec::announce_request(bool whole) {
  cancelTimeout();
  begin();
  scanned_ = 0;
  head_rate_.rest();
  charge_.set(0);
  head_request_ = incoming_->request.method() == "HEAD";
  message_->setMethod(head_request_ ? px::HTTPMethod::HEAD : px::HTTPMethod::POST);
  const bool undecided = incoming_->may_upgrade;
  if (undecided) {
    reading_ = Reading::undecided;
  } else if (!whole) {
    reading_ = Reading::body;
    receiving_ = incoming_;
  }
  {
    const Announcing<Http1Codec> this_one(this);
    callback_->onHeadersComplete(id_, std::move(message_));
  }
  if (incoming_) {  // the session takes no more requests
    reading_ = Reading::ignored;
    incoming_.reset();
    return;
  }
  if (whole && !undecided) end_request();
}

void Http1Codec::settle_upgrade(bool switches, bool goes_on) {
  if (reading_ != Reading::undecided) return;
  reading_ = switches ? Reading::opaque : goes_on ? Reading::head : Reading::ignored;
  if (handler_ != nullptr) handler_->let_input_in();  // first: else its end would wait, too
  if (!switches) end_request();
}

std::size_t Http1Codec::read_opaque(const folly::IOBuf& input) {
  callback_->onBody(id_, input.cloneOne(), 0);
  return input.length();
}

void Http1Codec::end_request() {
  request_pending_ = false;
  receiving_.reset();
  await_next_request();
  callback_->onMessageComplete(id_, false);
}

std::size_t Http1Codec::read_body(const folly::IOBuf& input) {
  using Outcome = http1::RequestParser::Outcome;
  const std::string_view bytes(reinterpret_cast<const char*>(input.data()), input.length());
  std::size_t used = 0;
  input_ = &input;
  while (used < bytes.size() && reading_ == Reading::body) {
    const auto progress = parser_->parse_body(bytes.substr(used));
    used += progress.consumed;
    if (progress.outcome == Outcome::refused) {
      reading_ = Reading::ignored;
      if (handler_ != nullptr) handler_->refuse(*progress.verdict);
      return bytes.size();
    }
    if (progress.outcome == Outcome::request_done) {
      reading_ = ends_ ? Reading::ignored : Reading::head;
      end_request();
    } else if (progress.consumed == 0) {
      break;
    }
  }
  return used;
}

void Http1Codec::on_body(std::string_view bytes) {
  auto piece = input_->cloneOne();
  piece->trimStart(static_cast<std::size_t>(reinterpret_cast<const std::uint8_t*>(bytes.data()) -
                                            piece->data()));
  piece->trimEnd(piece->length() - bytes.size());
  callback_->onBody(id_, std::move(piece), 0);
}

void Http1Codec::on_trailer(std::string_view name, std::string_view value) {
  if (receiving_) receiving_->add_trailer(name, value);
}

void Http1Codec::setParserPaused(bool paused) {
  paused_ = paused;
  if (!paused || session_ == nullptr) return;
  thread_.look_at_transport(*session_);
  if (!std::exchange(watched_, true)) thread_.watch_transport(*session_);
}

void Http1Codec::onIngressEOF() {
  if (ends_) {
    linger_.end();
    return;
  }
  if (reading_ == Reading::opaque) {
    reading_ = Reading::ignored;
    return end_request();
  }
  if (!message_) return;  // a body's end is the session's to judge
  refuse_head(&refusal(RequestFault::truncated), scanned_);
}

// ---------------------------------------------------------------------------- waiting

void Http1Codec::await(Awaited awaited) {
  const Options& options = thread_.options();
  auto time = to_milliseconds(awaited == Awaited::next_request ? options.keep_alive_timeout
                                                               : options.header_timeout);
  if (draining_ && awaited != Awaited::head) time = std::min(time, drain_grace);
  awaited_ = awaited;
  looks_again_ = false;
  thread_.loop().timer().scheduleTimeout(this, time);
}

// If the last one is whole and answered.
void Http1Codec::await_next_request() {
  if (!request_pending_ && !response_pending_ && !ends_) await(Awaited::next_request);
}

void Http1Codec::drain() {
  draining_ = true;
  if (!isScheduled() || awaited_ == Awaited::head) return;
  const Options& options = thread_.options();
  if (awaited_ == Awaited::first_request) return await(awaited_);
  const auto idle = to_milliseconds(options.keep_alive_timeout) - getTimeRemaining();
  const auto grace = std::max(drain_grace - idle, std::chrono::milliseconds::zero());
  looks_again_ = false;
  thread_.loop().timer().scheduleTimeout(this, std::min(grace, getTimeRemaining()));
}

bool Http1Codec::has_unread_input() const {
  const auto* socket = session_->getTransport()->getUnderlyingTransport<folly::AsyncSocket>();
  return socket != nullptr && prowingen::has_unread_input(socket->getNetworkSocket().toFd());
}

void Http1Codec::timeoutExpired() noexcept {
  if (!std::exchange(looks_again_, true) && has_unread_input()) {
    // The session reads it in the loop's next turn.
    thread_.loop().timer().scheduleTimeout(this, look_again_time);
    return;
  }
  if (awaited_ == Awaited::head) return static_cast<void>(give_up_head());
  const folly::DelayedDestruction::DestructorGuard guard(session_);
  session_->closeWhenIdle();
}

bool Http1Codec::give_up_head() {
  if (!message_) return false;
  // It may have stopped reading by now, and end with this; its own callers hold one too.
  const folly::DelayedDestruction::DestructorGuard guard(session_);
  refuse_head(&refusal(RequestFault::request_timeout), scanned_);
  // The session still has the bytes that did not make a head, and would keep them until more come:
  // told that none have, it offers them once more, to be ignored.
  if (auto* session = session_->getTransport()->getReadCallback()) session->readDataAvailable(0);
  return true;
}

// ---------------------------------------------------------------------------- memory

std::uint64_t Http1Codec::output() const {
  const auto written = session_->getTransport()->getAppBytesWritten();
  return generated_ > written ? generated_ - written : 0;
}

void Http1Codec::settle_charge() { charge_.set(scanned_ + output()); }

MemoryHolding Http1Codec::memory_held(SteadyTime now) const {
  return message_ ? MemoryHolding{charge_.bytes(), head_rate_.waited(now)} : MemoryHolding{};
}

std::uint64_t Http1Codec::received() const {
  return session_->getTransport()
      ->getUnderlyingTransport<folly::AsyncSocket>()
      ->getRawBytesReceived();
}

std::uint64_t Http1Codec::acknowledged() const {
  const auto* socket = session_->getTransport()->getUnderlyingTransport<folly::AsyncSocket>();
  return socket->getRawBytesWritten() - unacknowledged_bytes(socket->getNetworkSocket().toFd());
}

void Http1Codec::drop_connection() { session_->dropConnection(); }

// ---------------------------------------------------------------------------- writing

void Http1Codec::announce(ResponseFraming framing, bool keep_alive) {
  framing_ = framing;
  keep_alive_ = keep_alive;
}

void Http1Codec::generateHeader(folly::IOBufQueue& out, StreamID, const px::HTTPMessage&, bool last,
                                px::HTTPHeaderSize* size, const folly::Optional<px::HTTPHeaders>&) {
  if (text_.empty()) {
    // An answer of the session's own, in place of a handler that has been told of the error.
    http1::write_refusal(refusal(RequestFault::truncated), !head_request_, "", thread_.standing(),
                         text_);
    announce(ResponseFraming::none, false);
    reading_ = Reading::ignored;
    thread_.count_refusal();
  }
  out.append(text_.data(), text_.size());
  generated_ += text_.size();
  if (size != nullptr) size->compressed = size->uncompressed = text_.size();
  text_.clear();
  if (last) generateEOM(out, id_);
}

std::size_t Http1Codec::generateBody(folly::IOBufQueue& out, StreamID transaction,
                                     std::unique_ptr<folly::IOBuf> body,
                                     folly::Optional<std::uint8_t>, bool last) {
  std::size_t size = body ? body->computeChainDataLength() : 0;
  if (size != 0 && framing_ == ResponseFraming::chunked) {
    http1::write_chunk_header(size, text_);
    out.append(text_.data(), text_.size());
    out.append(std::move(body));
    out.append("\r\n", 2);
    size += text_.size() + 2;
    text_.clear();
  } else if (size != 0) {
    out.append(std::move(body));
  }
  generated_ += size;
  settle_charge();
  return last ? size + generateEOM(out, transaction) : size;
}

std::size_t Http1Codec::generateEOM(folly::IOBufQueue& out, StreamID) {
  std::size_t size = 0;
  // Without a last chunk, the connection's end does not make the answer look whole.
  if (framing_ == ResponseFraming::chunked && !cut_) {
    http1::write_last_chunk(trailers_ ? &*trailers_ : nullptr, text_);
    out.append(text_.data(), text_.size());
    size = text_.size();
    text_.clear();
  }
  trailers_.reset();
  generated_ += size;
  response_pending_ = false;
  if (!keep_alive_ || cut_) {
    end_connection();
  } else {
    await_next_request();
  }
  return size;
}

void Http1Codec::half_close() { linger_.half_close_after(*session_, generated_); }

void Http1Codec::stop_reading() {
  reading_ = Reading::ignored;
  keep_alive_ = false;
  if (!response_pending_ && !ends_) end_connection();
}

// The last answer is generated. A session whose codec is not reusable closes; one that has to
// linger is left to read, and the codec throws away what it reads.
void Http1Codec::end_connection() {
  const bool input_may_follow = request_pending_ || reading_ == Reading::ignored ||
                                (handler_ != nullptr && handler_->holds_input());
  ends_ = true;
  cancelTimeout();
  if (reading_ != Reading::body) reading_ = Reading::ignored;
  if (input_may_follow) {
    linger_.begin_after(*session_, generated_);
  } else {
    reusable_ = false;
  }
}

std::size_t Http1Codec::generateRstStream(folly::IOBufQueue&, StreamID, px::ErrorCode) {
  response_pending_ = false;
  reusable_ = false;
  return 0;
}

// Of a session that drains: it is told twice, and the answers under way are still sent. This
// engine's own drain() may come before either, and must not be taken for the first.
std::size_t Http1Codec::generateGoaway(folly::IOBufQueue&, StreamID last, px::ErrorCode code,
                                       std::unique_ptr<folly::IOBuf>) {
  const bool first = !std::exchange(told_to_drain_, true);
  if (!first || last != px::HTTPCodec::MaxStreamID || code != px::ErrorCode::NO_ERROR) {
    reusable_ = false;
  }
  draining_ = true;
  return 0;
}

std::size_t Http1Codec::generateImmediateGoaway(folly::IOBufQueue&, px::ErrorCode,
                                                std::unique_ptr<folly::IOBuf>) {
  reusable_ = false;
  return 0;
}

}  // namespace prowingen::proxygen_engine
