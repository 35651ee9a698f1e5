#include "core/scheduler.h"

#include <algorithm>
#include <stdexcept>

namespace prowingen {

Scheduler::Worker Scheduler::enrol() {
  ++ready_count_;
  ++members_;
  if (coming_ != 0) --coming_;
  if (!free_.empty()) {
    const Worker worker = free_.back();
    free_.pop_back();
    slots_[worker] = Slot();
    return worker;
  }
  slots_.emplace_back();
  parked_.reserve(slots_.size());
  return static_cast<Worker>(slots_.size() - 1);
}

void Scheduler::leave_pool(Worker worker, State to, bool spare) {
  const State from = slots_[worker].state;
  if (from == State::running) unlink(worker);
  if (interrupted_ == worker) interrupted_ = nobody;
  if (holder_ == worker) holder_ = nobody;
  set_state(worker, from, to);
  --members_;
  if (!spare) return;
  const Worker other = spares_.back();
  spares_.pop_back();
  set_state(other, State::spare, State::parked);
  parked_.push_back(other);
  ++members_;
}

void Scheduler::leaves(Worker worker, bool spare) {
  leave_pool(worker, State::away, spare);
  ++away_count_;
  if (!spare && leaving_ != 0) --leaving_;
}

void Scheduler::gets_stuck(Worker worker, bool spare, bool replaced) {
  leave_pool(worker, State::stuck, spare);
  ++stuck_count_;
  if (!spare && replaced) ++coming_;
}

Scheduler::State Scheduler::returns(Worker worker) {
  const State from = slots_[worker].state;
  State to = State::gone;
  if (members_ + coming_ < rules_.workers) {
    to = State::ready;
    ++members_;
  } else if (spares_.size() < rules_.most_spares) {
    to = State::spare;
    spares_.push_back(worker);
  }
  set_state(worker, from, to);
  from == State::stuck ? --stuck_count_ : --away_count_;
  return to;
}

void Scheduler::set_state(Worker worker, State from, State to) {
  Slot& slot = slots_[worker];
  if (slot.state != from) throw std::logic_error("scheduler: illegal transition of a worker");
  slot.state = to;
  standby_count_ -= from == State::standby;
  ready_count_ -= from == State::ready;
  running_count_ -= from == State::running;
  waiting_count_ -= from == State::waiting;
  standby_count_ += to == State::standby;
  ready_count_ += to == State::ready;
  running_count_ += to == State::running;
  waiting_count_ += to == State::waiting;
}

std::optional<Scheduler::Worker> Scheduler::wake(Time now, std::size_t queued) {
  if (queued == 0 || parked_.empty()) return std::nullopt;
  bool needed;
  if (!rules_.has_gil) {
    needed = standby_count_ + ready_count_ < queued &&
             standby_count_ + ready_count_ + running_count_ < rules_.cores;
  } else if (blocking_) {
    needed = standby_count_ + ready_count_ < queued;
  } else {
    // The stand-in may block in turn: after two intervals it is no stand-in any more.
    const bool is_stood_in = interrupted_ != nobody && now - interrupted_at_ < stood_in();
    needed = standby_count_ + ready_count_ == 0 && !is_stood_in && !fresh_request_runs(now);
  }
  if (!needed) return std::nullopt;
  Worker worker = parked_.back();
  if (leader_ != nobody && leader_ != worker && slots_[leader_].state == State::parked) {
    worker = leader_;
    std::erase(parked_, worker);
  } else {
    parked_.pop_back();
  }
  set_state(worker, State::parked, State::standby);
  return worker;
}

bool Scheduler::may_lead(Worker worker, Duration pace) {
  quick_ = pace < (quick_ ? rules_.quick_until : rules_.quick_below);
  return quick_ && rules_.has_gil && !blocking_ && slots_[worker].state == State::parked;
}

bool Scheduler::may_take(Worker worker, Time now) const {
  if (!rules_.has_gil || blocking_) return true;
  if (interrupted_ != nobody && interrupted_ != worker) {
    return now - interrupted_at_ < stand_in();
  }
  return standby_count_ == 0 && !fresh_request_runs(now);
}

void Scheduler::started(Worker worker, Time now) {
  set_state(worker, State::ready, State::running);
  holds_gil(worker, now);
  slots_[worker].contended = standby_count_ != 0;
  link(worker, now);
}

void Scheduler::finished(Worker worker) {
  set_state(worker, State::running, State::ready);
  unlink(worker);
  if (slots_[worker].contended && holder_ == worker) average(0.0, rules_.quick_weight);
  if (interrupted_ == worker) interrupted_ = nobody;
}

void Scheduler::parked(Worker worker) {
  holder_ = nobody;
  interrupted_ = nobody;  // the GIL is free for it now
  set_state(worker, State::ready, State::parked);
  parked_.push_back(worker);
}

void Scheduler::got_gil(Worker worker, Time now, Duration waited) {
  set_state(worker, State::standby, State::ready);
  const bool holder_runs = holder_ != nobody && slots_[holder_].state == State::running;
  if (switch_interval_ < rules_.shortest_telling_interval) {
    average(0.0, rules_.proof_weight);
  } else if (holder_runs && waited >= switch_interval_) {
    interrupted_ = holder_;
    interrupted_at_ = now;
    average(0.0, rules_.proof_weight);
  } else if (holder_runs && now - held_since_ < switch_interval_) {
    average(1.0, rules_.proof_weight);
  }
  holds_gil(worker, now);
}

// With a longer interval than usual the two stay as they are: who was interrupted waits for the GIL
// all the same, and others behind a stand-in that blocks.
Scheduler::Duration Scheduler::stand_in() const {
  return std::min(rules_.stand_in, switch_interval_ * 4 / 5);
}

Scheduler::Duration Scheduler::stood_in() const {
  return 2 * std::min(rules_.switch_interval, switch_interval_);
}

void Scheduler::average(double proof, double weight) {
  proofs_ += (proof - proofs_) * weight;
  blocking_ = proofs_ > (blocking_ ? rules_.blocking_below : rules_.blocking_above);
}

void Scheduler::holds_gil(Worker worker, Time now) {
  if (holder_ == worker) return;
  holder_ = worker;
  held_since_ = now;
}

void Scheduler::wait_begins(Worker worker) {
  set_state(worker, State::running, State::waiting);
  unlink(worker);
  holder_ = nobody;
}

void Scheduler::wait_ends(Worker worker, Time now) {
  set_state(worker, State::waiting, State::running);
  holds_gil(worker, now);
  link(worker, now);
}

void Scheduler::link(Worker worker, Time now) {
  Slot& slot = slots_[worker];
  slot.started = now;
  slot.newer = nobody;
  slot.older = newest_;
  if (newest_ != nobody) slots_[newest_].newer = worker;
  newest_ = worker;
}

void Scheduler::unlink(Worker worker) {
  Slot& slot = slots_[worker];
  if (slot.newer != nobody) slots_[slot.newer].older = slot.older;
  if (slot.older != nobody) slots_[slot.older].newer = slot.newer;
  if (newest_ == worker) newest_ = slot.older;
  slot.newer = slot.older = nobody;
}

}  // namespace prowingen
