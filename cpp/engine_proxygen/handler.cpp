#include "engine_proxygen/handler.h"

#include <algorithm>

#include "core/response_policy.h"
#include "engine_proxygen/buffers.h"
#include "http1/response_writer.h"

namespace prowingen::proxygen_engine {
namespace {

constexpr Refusal queue_full{503, "Service Unavailable",
                             "every worker is busy and the queue is full", ""};

// As much of an answer's body goes into one buffer with its head: a copy of this size costs less
// than a buffer of its own and its way through the session's queue of bodies.
constexpr std::size_t body_with_head = 16 * 1024;

}  // namespace

Handler::Handler(Http1Codec& codec, px::HTTPMessage& message)
    : thread_(codec.thread()), codec_(codec), exchange_(codec.take_request(*this, message)) {
  exchange_->handler = this;
  exchange_->received_at = std::chrono::steady_clock::now();
  continue_due_ = exchange_->expects_continue;
}

Handler::~Handler() {
  codec_.forget(*this);
  exchange_->handler = nullptr;
  thread_.recycle(std::move(exchange_));
}

// ---------------------------------------------------------------------------- request

void Handler::onRequest(std::unique_ptr<px::HTTPMessage>) noexcept {
  if (!exchange_->has_body) return;
  downstream_->getTransaction()->setIdleTimeout(to_milliseconds(thread_.options().body_timeout));
  if (exchange_->body_left != 0) {
    exchange_->reserve_body(static_cast<std::size_t>(
        std::min<std::uint64_t>(exchange_->body_left, thread_.options().body_buffer)));
  }
  // The client may be waiting for the application to ask for the body.
  if (continue_due_) dispatch();
}

void Handler::onBody(std::unique_ptr<folly::IOBuf> body) noexcept {
  continue_due_ = false;
  const auto size = body->computeChainDataLength();
  exchange_->bytes_in += size;
  exchange_->body_left -= std::min<std::uint64_t>(exchange_->body_left, size);
  if (answered_ || refused_) {
    discarded_ += size;
    if (discarded_ > thread_.options().drain_limit) downstream_->sendAbort();
    return;
  }
  auto intake = Exchange::Intake::read_on;
  for (const auto range : *body) {
    intake = exchange_->append_body({reinterpret_cast<const char*>(range.data()), range.size()},
                                    thread_.options().body_buffer);
  }
  if (intake == Exchange::Intake::pause) {
    // More than a worker is spared: from here on it takes part.
    if (!std::exchange(ingress_paused_, true)) downstream_->pauseIngress();
    dispatch();
  }
}

void Handler::onEOM() noexcept {
  request_done_ = true;
  if (exchange_->refusal != nullptr) return send_refusal(*exchange_->refusal);
  if (answered_ || refused_) return;
  exchange_->finish_body();
  dispatch();
}

void Handler::dispatch() {
  if (std::exchange(exchange_->submitted, true)) return;
  thread_.submit(exchange_);
}

void Handler::body_wanted() {
  if (answered_ || request_done_) return;
  if (continue_due_ && !exchange_->head_written) {
    continue_due_ = false;
    codec_.text().append(http1::continue_response);
    downstream_->sendHeaders(thread_.status_only(100));
  }
  if (std::exchange(ingress_paused_, false)) downstream_->resumeIngress();
}

px::HTTPSessionBase* Handler::session() {
  return downstream_->getTransaction()->getTransport().getHTTPSessionBase();
}

void Handler::hold_input() {
  holds_input_ = true;
  downstream_->pauseIngress();
}

void Handler::reject() {
  refused_ = true;
  exchange_->depart(Departure::none);
  thread_.count_refusal();
  send_refusal(queue_full);
}

void Handler::refuse(const Refusal& refusal) {
  if (answered_) return;
  refused_ = true;
  exchange_->depart(&refusal == &prowingen::refusal(RequestFault::body_too_large)
                        ? Departure::body_too_large
                        : Departure::malformed_body);
  if (!exchange_->head_written) return send_refusal(refusal);
  answered_ = true;
  log(exchange_->response.status, false);
  downstream_->sendAbort();
}

void Handler::send_refusal(const Refusal& refusal) {
  const bool head = exchange_->request.method() == "HEAD";
  std::string& text = codec_.text();
  http1::write_refusal(refusal, !head, refusal.status == 503 ? "Retry-After: 1\r\n" : "",
                       thread_.standing(), text);
  codec_.announce(ResponseFraming::none, false);
  exchange_->bytes_out = text.size();
  if (!head) exchange_->body_bytes_out = refusal_page(refusal).size();
  log(refusal.status, true);
  downstream_->sendHeaders(thread_.status_only(refusal.status));
  end_answer();
}

// ---------------------------------------------------------------------------- answer

void Handler::onEgressResumed() noexcept {
  egress_paused_ = false;
  flush();
}

void Handler::flush() {
  if (refused_) return;
  while (!egress_paused_ && !answered_) {
    if (pending_.empty() && !take_output()) return;
    if (!pending_.empty() && !send_next()) return cut();
    if (pending_.empty() && output_finished_) return finish();
  }
}

// False: there is nothing to send now.
bool Handler::take_output() {
  if (output_finished_) return true;
  Exchange::Output& output = thread_.output();
  exchange_->take_output(output);
  const bool head = output.head;
  output_finished_ = output.finished || output.aborted;
  aborted_ = output.aborted;
  if (head) begin_answer(output);
  if (exchange_->framing != ResponseFraming::none) {
    for (auto& chunk : output.chunks) pending_.push_back(std::move(chunk));
  }
  output.clear();
  if (head) downstream_->sendHeaders(thread_.status_only(exchange_->response.status));
  return !pending_.empty() || output_finished_;
}

// Writes the head, and with it what there is of a small body.
void Handler::begin_answer(Exchange::Output& output) {
  HandledExchange& exchange = *exchange_;
  exchange.framing = frame_response(exchange.request.version, exchange.response_body);
  exchange.keep_alive = decide_keep_alive();
  exchange.head_written = true;
  codec_.announce(exchange.framing, exchange.keep_alive);
  std::string& text = codec_.text();
  http1::write_head(exchange, exchange.framing, exchange.keep_alive, thread_.standing(), text);
  auto first_left = output.chunks.begin();
  if (exchange.framing != ResponseFraming::none) {
    while (first_left != output.chunks.end() && first_left->file() == nullptr &&
           text.size() + first_left->size() <= body_with_head) {
      append_body(text, first_left->bytes());
      ++first_left;
    }
  }
  output.chunks.erase(output.chunks.begin(), first_left);
  exchange.bytes_out = text.size();
}

void Handler::append_body(std::string& text, std::string_view bytes) {
  const bool chunked = exchange_->framing == ResponseFraming::chunked;
  if (chunked) http1::write_chunk_header(bytes.size(), text);
  text.append(bytes);
  if (chunked) text.append("\r\n");
  exchange_->body_bytes_out += bytes.size();
}

bool Handler::decide_keep_alive() const {
  if (!exchange_->keep_alive || exchange_->framing == ResponseFraming::until_close) return false;
  if (!codec_.persists() || thread_.draining() || thread_.options().keep_alive_timeout == 0) {
    return false;
  }
  // The body is not read to its end. A client that waits for 100 may never send it, and more than
  // drain_limit of it is not worth reading.
  return request_done_ ||
         (!continue_due_ && exchange_->body_left <= thread_.options().drain_limit);
}

// False: the file is shorter than it was.
bool Handler::send_next() {
  Chunk& chunk = pending_.front();
  if (FileRange* range = chunk.file()) {
    auto piece = read_piece(*range);
    if (!piece) return false;
    if (range->length == 0) pending_.pop_front();
    send_body(std::move(piece));
  } else {
    auto body = to_buffer(std::move(chunk));
    pending_.pop_front();
    send_body(std::move(body));
  }
  return true;
}

void Handler::send_body(std::unique_ptr<folly::IOBuf> body) {
  const auto size = body->computeChainDataLength();
  exchange_->body_bytes_out += size;
  exchange_->bytes_out += size;
  downstream_->sendBody(std::move(body));
}

void Handler::finish() {
  if (aborted_) return cut();
  exchange_->written();
  log(exchange_->response.status, true);
  // The rest of the request is thrown away, up to a bound.
  if (std::exchange(ingress_paused_, false)) downstream_->resumeIngress();
  end_answer();
}

// This may be the end of the handler too.
void Handler::end_answer() {
  answered_ = true;
  downstream_->sendEOM();
}

// Ends the answer so that it does not look whole.
void Handler::cut() {
  log(exchange_->response.status, false);
  const bool looks_whole =
      exchange_->framing == ResponseFraming::until_close || !exchange_->head_written;
  if (looks_whole) {
    answered_ = true;
    return downstream_->sendAbort();  // a reset
  }
  codec_.cut_answer();
  end_answer();
}

// ---------------------------------------------------------------------------- endings

void Handler::requestComplete() noexcept { const std::unique_ptr<Handler> self(this); }

void Handler::onError(px::ProxygenError error) noexcept {
  const std::unique_ptr<Handler> self(this);
  if (answered_ || refused_) return;
  exchange_->depart(thread_.departure_of(error));
  // proxygen answers in our place where it still can.
  const int answered_for_us = error == px::kErrorTimeout ? 408 : error == px::kErrorRead ? 400 : 0;
  log(exchange_->head_written ? exchange_->response.status : answered_for_us, false);
}

void Handler::log(int status, bool complete) {
  exchange_->log(thread_.context().access_log, status, complete, codec_.requests());
}

}  // namespace prowingen::proxygen_engine
