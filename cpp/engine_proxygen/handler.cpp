#include "engine_proxygen/handler.h"

#include <folly/String.h>

#include <algorithm>

#include "access_log/exchange.h"
#include "engine_proxygen/buffers.h"

namespace prowingen::proxygen_engine {
namespace {

// As much of a body is read even if memory is short: an ordinary form comes in and is served.
constexpr std::uint64_t small_body = std::uint64_t{16} * 1024;

void rest(const std::unique_ptr<RateWatch>& rate) {
  if (rate) rate->rest();
}

std::chrono::duration<double> waited(const std::unique_ptr<RateWatch>& rate, SteadyTime now) {
  return rate ? rate->waited(now) : std::chrono::duration<double>::zero();
}

}  // namespace

Handler::Handler(EventThread& thread, std::shared_ptr<HandledExchange> exchange)
    : thread_(thread), exchange_(std::move(exchange)), charge_(thread.context().memory.get()) {
  thread_.add(*this);
  exchange_->handler = this;
  exchange_->received_at = std::chrono::steady_clock::now();
  continue_due_ = exchange_->expects_continue;
}

Handler::~Handler() {
  thread_.remove(*this);
  exchange_->handler = nullptr;
  thread_.recycle(std::move(exchange_));
}

// ---------------------------------------------------------------------------- request

void Handler::onRequest(std::unique_ptr<px::HTTPMessage> message) noexcept {
  thread_.recycle(std::move(message));
  // Now, and not when it is queued, behind all that is read in this turn.
  if (exchange_->bytes_in >= MemoryCharge::step) {
    exchange_->charge_head();
    thread_.look_at_memory();
  }
  if (exchange_->may_upgrade && exchange_->refusal == nullptr) {
    stop_awaiting_body();
    return dispatch();
  }
  if (!body_may_follow()) return;
  // Soon and not now: the request's end may be in the same frame.
  if (exchange_->refusal != nullptr) return thread_.output_ready(exchange_, false);
  // The client may be waiting for the application to ask for the body, or for the server.
  if (continue_due_) return exchange_->waits_whole ? thread_.body_wanted(exchange_) : dispatch();
  await_more();
}

// Another protocol takes its time.
void Handler::await_more() {
  if (exchange_->may_upgrade) return;
  if (output_finished_ && !needs_rest_of_request()) return;
  await_body();
  await_request();
}

void Handler::onBody(std::unique_ptr<folly::IOBuf> body) noexcept {
  continue_due_ = false;
  const auto size = body->computeChainDataLength();
  exchange_->bytes_in += size;
  received_ += size;
  exchange_->body_left -= std::min<std::uint64_t>(exchange_->body_left, size);
  note_movement();
  await_more();
  if (answered_ || refused_ || exchange_->refusal != nullptr) {
    // Its client is being asked to stop.
    if (answered_ && exchange_->may_upgrade && !needs_rest_of_request()) return;
    discarded_ += size;
    if (discarded_ > thread_.options().drain_limit) give_up_reading();
    return;
  }
  if (auto verdict = check_received(received_)) return refuse(*verdict);
  if (!exchange_->submitted) exchange_->has_body = true;
  auto intake = Exchange::Intake::read_on;
  for (const auto range : *body) {
    intake = exchange_->take_in({reinterpret_cast<const char*>(range.data()), range.size()},
                                thread_.context());
    if (intake == Exchange::Intake::refuse) {
      return refuse(prowingen::refusal(RequestFault::body_not_stored));
    }
  }
  if (intake == Exchange::Intake::pause) {
    // More than a worker is spared: from here on it takes part.
    pause_reading();
    dispatch();
  } else if (thread_.memory_is_short() && !reads_on_in_shortage()) {
    pause_reading();
    awaits_memory_ = true;
    awaits_memory_since_ = std::chrono::steady_clock::now();
    thread_.await_memory(exchange_);
  }
}

void Handler::stop_awaiting_request() {
  rest(request_rate_);
  stop_awaiting_body();
}

void Handler::pause_reading() {
  stop_awaiting_request();
  if (std::exchange(ingress_paused_, true)) return;
  downstream_->pauseIngress();
  let_client_send(false);
}

// Of HTTP/2: in one of HTTP/1 the parser has seen to it.
void Handler::on_trailers(const px::HTTPHeaders& trailers) {
  if (answered_ || refused_ || exchange_->refusal != nullptr) return;
  TrailerSection section;
  Verdict verdict = nullptr;
  trailers.forEach([&](const std::string& told, const std::string& value) {
    // proxygen has spellings of its own for the names that it knows.
    std::string name = told;
    folly::toLowerAscii(name);
    if (verdict == nullptr) verdict = section.add(name, value, false, thread_.limits());
    const bool kept = verdict == nullptr && trailer_fit(name) == TrailerFit::fits;
    if (kept) exchange_->add_trailer(name, value);
  });
  exchange_->bytes_in += section.size();
  if (verdict != nullptr) refuse(*verdict);
}

void Handler::onEOM() noexcept {
  request_done_ = true;
  rest(request_rate_);
  on_request_whole();
  if (answered_ || refused_) return;
  if (exchange_->refusal != nullptr) return send_refusal(*exchange_->refusal);
  exchange_->end_body();
  dispatch();
  if (exchange_->framing == ResponseFraming::opaque) output_ready();  // which may have been said
}

void Handler::dispatch() {
  if (std::exchange(exchange_->submitted, true)) return;
  thread_.submit(exchange_);
}

void Handler::body_wanted() {
  if (answered_ || request_done_) return;
  if (continue_due_ && !exchange_->head_written) {
    continue_due_ = false;
    send_continue();
    await_more();
  }
  if (awaits_memory_ && !reads_on_in_shortage()) return;
  resume_reading();
}

void Handler::resume_reading() {
  awaits_memory_ = false;
  if (!std::exchange(ingress_paused_, false)) return;
  if (!request_done_) await_more();  // the client could not get on: its time begins anew
  let_client_send(true);
  downstream_->resumeIngress();
}

void Handler::reject() {
  if (answered_ || refused_) return;  // malformed, which was said before the queue was asked
  refused_ = true;
  exchange_->depart(Departure::none);
  thread_.count_refusal();
  send_refusal(queue_full);
}

void Handler::refuse(const Refusal& refusal) {
  refuse(refusal, &refusal == &prowingen::refusal(RequestFault::body_too_large)
                      ? Departure::body_too_large
                      : Departure::malformed_body);
}

void Handler::refuse(const Refusal& refusal, Departure why) {
  if (answered_ || refused_) return give_up_reading();
  refused_ = true;
  exchange_->depart(why);
  if (!exchange_->head_written) {
    thread_.count_refusal();
    return send_refusal(refusal);
  }
  log(exchange_->sent_head().status, false);
  reset();
}

void Handler::send_refusal(const Refusal& refusal) {
  const bool head_only = exchange_->request.method() == "HEAD";
  if (!head_only) exchange_->body_bytes_out = refusal_page(refusal).size();
  send_refusal_page(refusal, head_only);
  log(refusal.status, true);
  exchange_->forget_request();
  end_answer();
}

// ---------------------------------------------------------------------------- answer

void Handler::onEgressPaused() noexcept {
  egress_paused_ = true;
  await_reader();
}

void Handler::onEgressResumed() noexcept {
  egress_paused_ = false;
  rest(answer_rate_);
  const px::HTTPTransaction::DestructorGuard guard(&transaction());
  flush();
  settle_charge();
}

void Handler::output_ready() {
  if (answered_) return;
  if (exchange_->refusal != nullptr) return send_refusal(*exchange_->refusal);
  const px::HTTPTransaction::DestructorGuard guard(&transaction());
  flush();
  settle_charge();
}

void Handler::client_doubted() {
  if (answered_ || refused_ || !pending_.empty() || egress_paused_) return;
  const auto* transport = transaction().getTransport().getUnderlyingTransport();
  if (transport == nullptr) return;  // QUIC's departures are told
  const auto* socket = transport->getUnderlyingTransport<folly::AsyncSocket>();
  const auto now = std::chrono::steady_clock::now();
  const auto client =
      exchange_->look_at_client(socket->getNetworkSocket().toFd(), now, may_send_interim());
  if (client == HandledExchange::Client::asked_for) return send_continue();
  if (client == HandledExchange::Client::there) return;
  exchange_->depart(Departure::client_closed);
  log(exchange_->head_written ? exchange_->sent_head().status : 0, false);
  reset();
}

void Handler::flush() {
  if (refused_) return;
  while (!egress_paused_ && !answered_) {
    if (pending_.empty() && (held_back() || !take_output())) return;
    if (!pending_.empty() && !send_next()) {
      thread_.context().report(Severity::error, file_too_short(*exchange_));
      return cut();
    }
    if (pending_.empty() && output_finished_) return finish();
  }
}

// What the session has for its socket already is enough: heads are not counted as bodies are.
bool Handler::held_back() {
  held_back_ = !output_finished_ && output_waits();
  if (held_back_) await_reader();
  return held_back_;
}

// False: there is nothing to send now.
bool Handler::take_output() {
  if (output_finished_) return true;
  Exchange::Output& output = thread_.output();
  exchange_->take_output(output);
  output_finished_ = output.finished || output.aborted;
  aborted_ = output.aborted;
  if (output_finished_ && !request_done_ && !needs_rest_of_request()) stop_awaiting_request();
  for (const ResponseHead& interim : output.interim) send_interim(interim);
  px::HTTPMessage* head = nullptr;
  if (output.head) {
    exchange_->head_written = true;
    head = &begin_answer(output);
  }
  if (exchange_->framing != ResponseFraming::none) {
    for (auto& chunk : output.chunks) {
      pending_memory_ += chunk.memory();
      pending_.push_back(std::move(chunk));
    }
  }
  output.clear();
  if (head != nullptr) send_head(*head);
  return !pending_.empty() || output_finished_;
}

// A frame of nothing behind the head would be content, for a client that counts it against the
// Content-Length of a 304.
void Handler::send_head(px::HTTPMessage& head) {
  end_sent_ = head_may_be_last() && exchange_->framing == ResponseFraming::none &&
              output_finished_ && !aborted_;
  end_sent_ ? transaction().sendHeadersWithEOM(head) : downstream_->sendHeaders(head);
}

// False: the file is shorter than it was.
bool Handler::send_next() {
  Chunk& chunk = pending_.front();
  if (FileRange* range = chunk.file()) {
    auto piece = read_piece(*range);
    if (!piece) return false;
    lent_last_ = 0;
    if (range->length == 0) pending_.pop_front();
    send_body(std::move(piece));
  } else {
    pending_memory_ -= chunk.memory();
    lent_last_ = chunk.memory() == 0 ? lent_last_ + chunk.size() : 0;
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

// The worker has said all that it has to say in another protocol, and still reads.
bool Handler::is_half_closed() const {
  return exchange_->framing == ResponseFraming::opaque && !request_done_ &&
         exchange_->wants_input();
}

void Handler::finish() {
  if (aborted_) return cut();
  if (is_half_closed()) return half_close();
  if (const auto* trailers = exchange_->sent_trailers()) send_trailers(*trailers);
  exchange_->written();
  log(exchange_->sent_head().status, true);
  end_answer();
}

void Handler::end_sending() {
  if (!std::exchange(end_sent_, true)) downstream_->sendEOM();
}

void Handler::end_answer() {
  // What comes in from here on is not for the exchange; and this object lasts until it is told.
  const px::HTTPTransaction::DestructorGuard guard(&transaction());
  answered_ = true;
  end_sending();
  on_answer_over();
}

void Handler::reset() {
  answered_ = was_reset_ = true;
  downstream_->sendAbort();
}

void Handler::cut() {
  log(exchange_->sent_head().status, false);
  pending_.clear();
  pending_memory_ = 0;
  abort_answer();
}

// ---------------------------------------------------------------------------- memory and pace

// While the budget is full, whoever holds some of it gets no more.
bool Handler::reads_on_in_shortage() const {
  if (exchange_->submitted) return exchange_->body_used_up();  // a worker waits for no budget
  return exchange_->body_left != 0 && exchange_->body_left <= small_body;
}

void Handler::memory_freed() {
  if (!awaits_memory_ || answered_) return;
  resume_reading();
}

std::uint64_t Handler::outgoing() const {
  return pending_memory_ + transaction().getOutstandingEgressBodyBytes();
}

void Handler::settle_charge() {
  const auto all = outgoing();
  charge_.set(all - std::min(all - pending_memory_, lent_last_) + kept_by_transaction());
}

// proxygen says that a client does not read only while there is more of an answer than it takes
// ahead, and not of the end of one.
void Handler::look_at_reader() {
  settle_charge();
  note_movement();
  if (egress_paused_ || held_back_) return;
  if (outgoing() + held_by_session() != 0) {
    await_reader();
  } else {
    rest(answer_rate_);
  }
}

MemoryHolding Handler::memory_held(SteadyTime now) const {
  const auto waiting = content_waiting(now);
  // Of those whose reading is paused nobody knows who would move: who has kept something for
  // longest is the first to go, and not who has just come to keep a little more. Of HTTP/2 a window
  // holds them up before that, and those who do not move wait meanwhile.
  const bool stands_still = awaits_memory_ && exchange_->request.version.major < 2;
  const auto paused = stands_still ? now - awaits_memory_since_ : SteadyTime::duration::zero();
  return {charge_.bytes() + exchange_->memory_to_regain() + held_by_session() + waiting.bytes,
          std::max({waited(request_rate_, now), waited(answer_rate_, now), waiting.waited,
                    std::chrono::duration<double>(paused)})};
}

void Handler::await_request() {
  if (!request_rate_) {
    request_rate_ = std::make_unique<RateWatch>(
        thread_, [this] { return request_moved(); }, [this] { on_slow_request(); });
  }
  request_rate_->wait();
}

void Handler::await_reader() {
  if (!answer_rate_) {
    answer_rate_ = std::make_unique<RateWatch>(
        thread_, [this] { return answer_moved(); }, [this] { on_slow_reader(); });
  }
  answer_rate_->wait();
}

bool Handler::give_up(std::uint64_t held_then) {
  if (!answered_ && !refused_ && !exchange_->head_written) {
    if (!exchange_->submitted) {
      refuse(refusal(RequestFault::request_timeout), Departure::memory_short);
      return true;
    }
    if (exchange_->depart_untaken(Departure::memory_short)) {
      refuse(short_of_memory, Departure::memory_short);
      return true;
    }
  }
  if (memory_held(std::chrono::steady_clock::now()).bytes < held_then) return false;
  cut_off(Departure::memory_short);
  return true;
}

void Handler::on_slow_request() {
  refuse(refusal(RequestFault::request_timeout), Departure::too_slow);
}

void Handler::on_silent_request() {
  refuse(refusal(RequestFault::request_timeout), Departure::body_timeout);
}

void Handler::on_slow_reader() { cut_off(Departure::too_slow); }

// The answer is not whole, and the connection, or the stream, is over.
void Handler::cut_off(Departure why) {
  const px::HTTPTransaction::DestructorGuard guard(&transaction());
  if (!answered_ && !refused_) {
    exchange_->depart(why);
    log(exchange_->head_written ? exchange_->sent_head().status : 0, false);
  }
  pending_.clear();
  pending_memory_ = 0;
  refused_ = true;
  drop();
}

// ---------------------------------------------------------------------------- endings

void Handler::requestComplete() noexcept {
  const std::unique_ptr<Handler> self(this);
  note_movement();
}

void Handler::onError(px::ProxygenError error) noexcept {
  const std::unique_ptr<Handler> self(this);
  if (answered_ || refused_) return;
  exchange_->depart(thread_.departure_of(error));
  // proxygen answers in our place where it still can.
  const int answered_for_us = error == px::kErrorTimeout ? 408 : error == px::kErrorRead ? 400 : 0;
  log(exchange_->head_written ? exchange_->sent_head().status : answered_for_us, false);
  exchange_->forget_request();
}

void Handler::log(int status, bool complete) {
  log_exchange(thread_.context(), *exchange_,
               exchange_->head_written ? exchange_->sent_status(status) : status, complete,
               transaction().getSequenceNumber() + 1);
}

}  // namespace prowingen::proxygen_engine
