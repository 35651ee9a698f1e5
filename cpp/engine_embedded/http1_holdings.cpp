// What an HTTP/1.x connection holds of the memory budget, and what is cut of it.
#include "engine_embedded/http1_connection.h"
#include "engine_embedded/io_thread.h"

namespace prowingen::embedded {
namespace {

// As much of a body is read even if memory is short: an ordinary form comes in and is served.
constexpr std::uint64_t small_body = std::uint64_t{16} * 1024;

}  // namespace

// ---------------------------------------------------------------------------- pace

// Whether the client is in the middle of a request and its rest is wanted.
bool Http1Connection::awaits_rest() const {
  if (pause_ != Pause::none || continue_due_) return false;
  return reading_ == Reading::head ? !carried_.empty()
                                   : reading_ == Reading::body || reading_ == Reading::discard;
}

void Http1Connection::rest_comes() {
  if (reading_ == Reading::body) arm(read_deadline_, Timeout::body);
}

void Http1Connection::cut_slow_request() {
  if (reading_ == Reading::discard) return close(Departure::too_slow);
  refuse_unfinished(Departure::too_slow);
}

// ---------------------------------------------------------------------------- memory

// While the budget is full, whoever holds some of it gets no more.
bool Http1Connection::reads_on_in_shortage() const {
  if (reading_ == Reading::head) return carried_.size() < MemoryCharge::step;
  if (reading_ == Reading::opaque) return incoming_->body_used_up();
  if (reading_ != Reading::body || !incoming_) return true;    // what comes is thrown away
  if (incoming_->submitted) return incoming_->body_used_up();  // a worker waits for no budget
  return incoming_->body_left && *incoming_->body_left <= small_body;
}

bool Http1Connection::go_on() {
  if (pause_ != Pause::memory) return false;
  pause_ = Pause::none;
  if (!awaits_rest()) return true;
  // The client could not get on: its time begins anew.
  arm(read_deadline_, reading_ == Reading::head ? Timeout::header : Timeout::body);
  note_read();
  return true;
}

// An exchange costs about a step with an answer that is too small to be counted; of many that wait
// for the first one's client that would be much.
std::size_t Http1Connection::other_memory() const {
  const std::size_t behind = pipeline_.size() > 1 ? pipeline_.size() - 1 : 0;
  return (carried_.empty() ? 0 : carried_.capacity()) + behind * MemoryCharge::step;
}

std::uint64_t Http1Connection::exchange_memory() const {
  std::uint64_t held = 0;
  for (const auto& exchange : pipeline_) held += exchange->memory_to_regain();
  if (incoming_ && !incoming_->submitted) held += incoming_->memory_to_regain();
  if (held_ && held_ != incoming_) held += held_->memory_to_regain();
  return held;
}

bool Http1Connection::refuse_held() {
  const bool unfinished = reading_ == Reading::head
                              ? !carried_.empty()
                              : reading_ == Reading::body && incoming_ && !incoming_->submitted;
  if (unfinished && pipeline_.empty()) {
    refuse_unfinished(Departure::memory_short);
    return true;
  }
  if (pipeline_.size() != 1) return false;
  if (!pipeline_.front()->depart_untaken(Departure::memory_short)) return false;
  refuse_from(*pipeline_.front(), short_of_memory);
  return true;
}

// Of a head or a body. If a worker has it, and its answer has begun, there is no other.
void Http1Connection::refuse_unfinished(Departure why) {
  if (reading_ == Reading::head) {
    incoming_ = make_exchange();
    std::string().swap(carried_);  // an assignment would keep the memory
  }
  pause_ = Pause::none;
  refuse(refusal(RequestFault::request_timeout), why);
}

}  // namespace prowingen::embedded
