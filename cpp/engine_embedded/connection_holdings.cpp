// What a connection holds of the memory budget, and how fast its client gets on with it.
#include <algorithm>

#include "core/unacknowledged.h"
#include "engine_embedded/connection.h"
#include "engine_embedded/io_thread.h"

namespace prowingen::embedded {
namespace {

// As much of a body is read even if memory is short: an ordinary form comes in and is served.
constexpr std::uint64_t small_body = std::uint64_t{16} * 1024;

}  // namespace

// ---------------------------------------------------------------------------- pace

// Whether the client is in the middle of a request and its rest is wanted.
bool Connection::awaits_rest() const {
  if (pause_ != Pause::none || continue_due_) return false;
  return reading_ == Reading::head ? !carried_.empty()
                                   : reading_ == Reading::body || reading_ == Reading::discard;
}

void Connection::note_read() {
  if (!awaits_rest()) return reading_pace_.rest();
  if (reading_ == Reading::body) io_.deadlines().arm(read_deadline_, Timeout::body, io_.now());
  reading_pace_.wait(io_.now(), received_);
  if (read_rate_deadline_.armed() || io_.options().min_rate == 0) return;
  reading_pace_.open_window(io_.now(), received_);
  io_.deadlines().arm(read_rate_deadline_, Timeout::read_rate, io_.now());
}

void Connection::judge_reading() {
  if (!awaits_rest()) return;  // the next unfinished request opens a window
  const auto rate = static_cast<double>(io_.options().min_rate);
  if (reading_pace_.too_slow(io_.now(), received_, rate)) {
    if (reading_ == Reading::discard) return close(Departure::too_slow);
    return refuse_unfinished(Departure::too_slow);
  }
  io_.deadlines().arm(read_rate_deadline_, Timeout::read_rate, io_.now());
}

// As far as the kernel knows. Of TLS, what is encrypted counts for a little more than it was.
std::uint64_t Connection::taken_by_client() const {
  return sent_ - std::min<std::uint64_t>(sent_, unacknowledged_bytes(channel_.socket()));
}

void Connection::judge_writing() {
  if (!waiting_writable_) return;  // the next wait opens a window
  const auto rate = static_cast<double>(io_.options().min_rate);
  if (writing_pace_.too_slow(io_.now(), taken_by_client(), rate)) {
    return close(Departure::too_slow);
  }
  io_.deadlines().arm(write_rate_deadline_, Timeout::write_rate, io_.now());
}

// ---------------------------------------------------------------------------- memory

// While the budget is full, whoever holds some of it gets no more.
bool Connection::reads_on_in_shortage() const {
  if (reading_ == Reading::head) return carried_.size() < MemoryCharge::step;
  if (reading_ != Reading::body || !incoming_) return true;    // what comes is thrown away
  if (incoming_->submitted) return incoming_->body_used_up();  // a worker waits for no budget
  return incoming_->body_left && *incoming_->body_left <= small_body;
}

void Connection::await_memory() {
  pause_ = Pause::memory;
  reading_pace_.rest();
  io_.await_memory(shared_from_this());
}

void Connection::read_on() {
  pause_ = Pause::none;
  if (!awaits_rest()) return;
  // The client could not get on: its time begins anew.
  const auto kind = reading_ == Reading::head ? Timeout::header : Timeout::body;
  io_.deadlines().arm(read_deadline_, kind, io_.now());
  note_read();
}

MemoryHolding Connection::memory_held(SteadyTime now) const {
  std::uint64_t held = charge_.bytes();
  for (const auto& exchange : pipeline_) held += exchange->memory_to_regain();
  if (incoming_ && !incoming_->submitted) held += incoming_->memory_to_regain();
  if (held_ && held_ != incoming_) held += held_->memory_to_regain();
  return {held, std::max(reading_pace_.waited(now), writing_pace_.waited(now))};
}

void Connection::give_up_held() {
  const bool unfinished = reading_ == Reading::head
                              ? !carried_.empty()
                              : reading_ == Reading::body && incoming_ && !incoming_->submitted;
  if (unfinished && pipeline_.empty()) return refuse_unfinished(Departure::memory_short);
  if (pipeline_.size() == 1 && pipeline_.front()->depart_untaken(Departure::memory_short)) {
    return refuse_unqueued(*pipeline_.front(), short_of_memory);
  }
  close(Departure::memory_short);
}

// Of a head or a body. If a worker has it, and its answer has begun, there is no other.
void Connection::refuse_unfinished(Departure why) {
  if (reading_ == Reading::head) {
    incoming_ = make_exchange();
    carried_ = {};
  }
  pause_ = Pause::none;
  refuse(refusal(RequestFault::request_timeout), why);
}

}  // namespace prowingen::embedded
