#include "engine_proxygen/handler.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/access_log.h"
#include "core/response_policy.h"
#include "engine_proxygen/messages.h"

namespace prowingen::proxygen_engine {
namespace {

constexpr Refusal queue_full{503, "Service Unavailable",
                             "every worker is busy and the queue is full", ""};

// proxygen has no sendfile(2): files go through buffers of this size.
constexpr std::size_t file_piece = 64 * 1024;

Departure departure_of(px::ProxygenError error) {
  switch (error) {
    case px::kErrorTimeout: return Departure::body_timeout;
    case px::kErrorWriteTimeout: return Departure::write_timeout;
    case px::kErrorShutdown:
    case px::kErrorDropped: return Departure::server_stopped;
    default: return Departure::client_closed;
  }
}

}  // namespace

Handler::Handler(Http1Gate& gate, px::HTTPMessage& message)
    : thread_(gate.thread()), gate_(gate), exchange_(std::make_shared<HandledExchange>(thread_)) {
  GatedRequest request = gate.take_request(*this);
  HandledExchange& exchange = *exchange_;
  exchange.handler = this;
  exchange.peer = gate.connection(message);
  exchange.received_at = std::chrono::steady_clock::now();
  exchange.request = std::move(request.head);
  exchange.bytes_in = request.head_size;
  refusal_ = request.refusal;
  const RequestSemantics& semantics = request.semantics;
  client_keeps_alive_ = semantics.keep_alive;
  exchange.has_body = semantics.framing != BodyFraming::none;
  exchange.expects_continue = continue_due_ = semantics.expects_continue;
  if (semantics.framing == BodyFraming::content_length) body_left_ = semantics.content_length;
}

Handler::~Handler() {
  gate_.forget(*this);
  exchange_->handler = nullptr;
}

// ---------------------------------------------------------------------------- request

void Handler::onRequest(std::unique_ptr<px::HTTPMessage>) noexcept {
  if (refusal_ != nullptr) return;  // answered at its end, which follows at once
  downstream_->getTransaction()->setIdleTimeout(to_milliseconds(thread_.options().body_timeout));
  if (body_left_ != 0) {
    exchange_->reserve_body(static_cast<std::size_t>(
        std::min<std::uint64_t>(body_left_, thread_.options().body_buffer)));
  }
  // The client may be waiting for the application to ask for the body.
  if (continue_due_) dispatch();
}

void Handler::onBody(std::unique_ptr<folly::IOBuf> body) noexcept {
  continue_due_ = false;
  const auto size = body->computeChainDataLength();
  exchange_->bytes_in += size;
  body_left_ -= std::min<std::uint64_t>(body_left_, size);
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
  if (refusal_ != nullptr) return send_refusal(*refusal_);
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
    px::HTTPMessage message = continue_message();
    downstream_->sendHeaders(message);
  }
  if (std::exchange(ingress_paused_, false)) downstream_->resumeIngress();
}

void Handler::reject() {
  refused_ = true;
  exchange_->depart(Departure::none);
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
  answered_ = true;
  const bool head = exchange_->request.method() == "HEAD";
  px::HTTPMessage message = refusal_message(refusal, thread_.options());
  const std::string page = refusal_page(refusal);
  if (!head) exchange_->body_bytes_out = page.size();
  log(refusal.status, true);
  downstream_->sendHeaders(message);
  if (!head) downstream_->sendBody(folly::IOBuf::copyBuffer(page));
  downstream_->sendEOM();
}

// ---------------------------------------------------------------------------- answer

void Handler::onEgressResumed() noexcept {
  egress_paused_ = false;
  flush();
}

void Handler::flush() {
  if (answered_ || refused_ || egress_paused_) return;
  while (!egress_paused_ && !answered_) {
    if (pending_.empty() && !take_output()) return;
    if (!pending_.empty()) send_pending();
    if (pending_.empty() && output_finished_) finish();
  }
}

// False: there is nothing to send now.
bool Handler::take_output() {
  if (output_finished_) return true;
  Exchange::Output output;
  exchange_->take_output(output);
  if (output.head) send_head();
  output_finished_ = output.finished;
  if (output.aborted) {
    aborted_ = true;
    output_finished_ = true;
  }
  const bool sends_body = exchange_->framing != ResponseFraming::none;
  for (auto& chunk : output.chunks) {
    if (sends_body) pending_.push_back(std::move(chunk));
  }
  return !pending_.empty() || output_finished_;
}

void Handler::send_head() {
  HandledExchange& exchange = *exchange_;
  exchange.framing = frame_response(exchange.request.version, exchange.response_body);
  exchange.head_written = true;
  const bool keep_alive = keeps_alive();
  px::HTTPMessage message =
      response_message(exchange, exchange.framing, keep_alive, thread_.options());
  downstream_->sendHeaders(message);
}

bool Handler::keeps_alive() const {
  if (!client_keeps_alive_ || exchange_->framing == ResponseFraming::until_close) return false;
  if (thread_.draining() || thread_.options().keep_alive_timeout == 0) return false;
  // The body is not read to its end. A client that waits for 100 may never send it, and more than
  // drain_limit of it is not worth reading.
  if (!request_done_ && (continue_due_ || body_left_ > thread_.options().drain_limit)) return false;
  return true;
}

void Handler::send_pending() {
  Chunk& chunk = pending_.front();
  if (chunk.file() != nullptr) return send_file_piece();
  exchange_->body_bytes_out += chunk.size();
  auto buffer = to_buffer(std::move(chunk));
  pending_.pop_front();
  downstream_->sendBody(std::move(buffer));
}

void Handler::send_file_piece() {
  FileRange& range = *pending_.front().file();
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(range.length, file_piece));
  auto buffer = folly::IOBuf::create(size);
  const auto got =
      ::pread(range.file.get(), buffer->writableData(), size, static_cast<off_t>(range.offset));
  if (got <= 0) return cut();  // the file is shorter than it was
  buffer->append(static_cast<std::size_t>(got));
  range.offset += static_cast<std::uint64_t>(got);
  range.length -= static_cast<std::uint64_t>(got);
  exchange_->body_bytes_out += static_cast<std::uint64_t>(got);
  if (range.length == 0) pending_.pop_front();
  downstream_->sendBody(std::move(buffer));
}

void Handler::finish() {
  if (aborted_) return cut();
  answered_ = true;
  exchange_->written();
  log(exchange_->response.status, true);
  // The rest of the request is thrown away, up to a bound.
  if (std::exchange(ingress_paused_, false)) downstream_->resumeIngress();
  downstream_->sendEOM();
}

// Ends the answer so that it does not look whole.
void Handler::cut() {
  answered_ = true;
  log(exchange_->response.status, false);
  const bool looks_whole =
      exchange_->framing == ResponseFraming::until_close || !exchange_->head_written;
  if (looks_whole) return downstream_->sendAbort();  // a reset
  gate_.cut_answer();
  downstream_->sendEOM();
}

// ---------------------------------------------------------------------------- endings

void Handler::requestComplete() noexcept { const std::unique_ptr<Handler> self(this); }

void Handler::onError(px::ProxygenError error) noexcept {
  const std::unique_ptr<Handler> self(this);
  if (answered_ || refused_) return;
  exchange_->depart(departure_of(error));
  // proxygen has answered for us where it still could.
  const int answered_for_us = error == px::kErrorTimeout ? 408 : error == px::kErrorRead ? 400 : 0;
  log(exchange_->head_written ? exchange_->response.status : answered_for_us, false);
}

void Handler::log(int status, bool complete) {
  AccessLog* access_log = thread_.context().access_log;
  if (access_log == nullptr) return;
  const HandledExchange& exchange = *exchange_;
  const auto now = std::chrono::steady_clock::now();
  AccessRecord record;
  record.request = exchange.request.method().empty() ? nullptr : &exchange.request;
  record.remote_address = exchange.peer->remote_address;
  record.remote_port = exchange.peer->remote_port;
  record.status = status;
  record.response = exchange.head_written ? &exchange.response : nullptr;
  record.body_bytes_sent = exchange.body_bytes_out;
  record.bytes_sent = exchange.body_bytes_out;
  record.bytes_received = exchange.bytes_in;
  record.total_time = now - exchange.received_at;
  record.received =
      std::chrono::system_clock::now() -
      std::chrono::duration_cast<std::chrono::system_clock::duration>(record.total_time);
  if (exchange.head_written) {
    record.queue_time = exchange.taken_at - exchange.queued_at;
    record.app_time = exchange.finished_at - exchange.taken_at;
  }
  record.scheme = exchange.peer->scheme;
  record.complete = complete;
  access_log->write(record);
}

}  // namespace prowingen::proxygen_engine
