#include "wsgi/departure_calls.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace prowingen::wsgi {
namespace {

// Short to who waits for it, long against what a look costs: a message to the engine's thread, and
// one system call there.
constexpr std::chrono::milliseconds look_interval{200};

}  // namespace

// ---------------------------------------------------------------------------- one exchange

std::shared_ptr<DepartureNotice> DepartureNotice::make(Exchange& exchange, DepartureCalls& calls) {
  std::shared_ptr<DepartureNotice> notice(new DepartureNotice(exchange, calls));
  if (!exchange.tell_of_end(notice)) notice->on_end(exchange.departure() != Departure::none);
  return notice;
}

bool DepartureNotice::add(Call& call) {
  const std::lock_guard lock(mutex_);
  if (over()) return false;
  calls_.push_back(std::move(call));
  return true;
}

void DepartureNotice::await_end(std::optional<SteadyTime> until) {
  for (;;) {
    doubt_client();
    auto look_again = std::chrono::steady_clock::now() + look_interval;
    if (until) look_again = std::min(look_again, *until);
    std::unique_lock lock(mutex_);
    if (ended_.wait_until(lock, look_again, [this] { return over(); })) return;
    if (until && std::chrono::steady_clock::now() >= *until) return;
  }
}

// As long as it is not over it is no other request's.
std::shared_ptr<Exchange> DepartureNotice::exchange() {
  const std::lock_guard lock(mutex_);
  return over() ? nullptr : exchange_.lock();
}

void DepartureNotice::doubt_client() {
  if (const auto exchange = this->exchange()) exchange->doubt_client();
}

void DepartureNotice::on_end(bool departed) {
  std::vector<Call> calls;
  {
    const std::lock_guard lock(mutex_);
    state_.store(departed ? State::departed : State::ended, std::memory_order_release);
    calls.swap(calls_);
  }
  ended_.notify_all();
  if (departed && !calls.empty()) due_.add(std::move(calls));
}

// ---------------------------------------------------------------------------- all of a server's

bool DepartureCalls::watch(std::shared_ptr<DepartureNotice> notice) {
  if (!std::exchange(begun_, true) && !begin_thread_()) {
    begun_ = false;
    return false;
  }
  const std::lock_guard lock(mutex_);
  watched_.push_back(std::move(notice));
  changed_.notify_one();
  return true;
}

void DepartureCalls::add(std::vector<Call> calls) {
  const std::lock_guard lock(mutex_);
  std::ranges::move(calls, std::back_inserter(due_));
  changed_.notify_one();
}

bool DepartureCalls::next(std::vector<Call>& due) {
  due.clear();
  std::unique_lock lock(mutex_);
  while (due_.empty() && !closed_) {
    if (watched_.empty()) {
      changed_.wait(lock);
    } else if (std::chrono::steady_clock::now() >= looked_at_ + look_interval) {
      look_for_clients(lock);
    } else {
      changed_.wait_until(lock, looked_at_ + look_interval);
    }
  }
  due.swap(due_);
  return !due.empty();
}

void DepartureCalls::look_for_clients(std::unique_lock<std::mutex>& lock) {
  looked_at_ = std::chrono::steady_clock::now();
  std::erase_if(watched_, [](const auto& notice) { return notice->over(); });
  const auto watched = watched_;
  lock.unlock();
  for (const auto& notice : watched) notice->doubt_client();
  lock.lock();
}

void DepartureCalls::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace prowingen::wsgi
