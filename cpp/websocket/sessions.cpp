#include "websocket/sessions.h"

#include <utility>
#include <vector>

#include "core/signals.h"
#include "websocket/session.h"

namespace prowingen::websocket {

void Sessions::add(const std::shared_ptr<Session>& session, SteadyTime look_at) {
  std::optional<Close> closing;
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() && !stopped_) {
      const BlockedSignals no_signals;
      thread_ = std::thread([this] { run(); });
    }
    list(*session, session, look_at);
    ++accepted_;
    ++open_;
    session->place_.is_counted = true;
    if (closing_) closing = *closing_;
  }
  if (closing) session->close(*closing);
}

// With the mutex.
void Sessions::list(Session& session, std::weak_ptr<Session> itself, SteadyTime at) {
  Place& place = session.place_;
  if (place.is_over) return;
  if (place.is_listed) schedule_.erase(place.entry);
  const bool is_first = schedule_.empty() || at < schedule_.begin()->first;
  place.entry = schedule_.emplace(at, std::move(itself));
  place.is_listed = true;
  if (is_first) changed_.notify_one();
}

void Sessions::look(Session& session, SteadyTime at) {
  const std::lock_guard lock(mutex_);
  if (session.place_.is_listed && session.place_.entry->first <= at) return;
  list(session, session.weak_from_this(), at);
}

void Sessions::remove(Session& session) {
  const std::lock_guard lock(mutex_);
  Place& place = session.place_;
  if (std::exchange(place.is_over, true)) return;
  if (place.is_counted) --open_;
  if (std::exchange(place.is_listed, false)) schedule_.erase(place.entry);
}

Sessions::Counters Sessions::counters() const {
  const std::lock_guard lock(mutex_);
  return {open_, accepted_, received_.load(std::memory_order_relaxed),
          sent_.load(std::memory_order_relaxed)};
}

void Sessions::close_all(const Close& why) {
  std::vector<std::shared_ptr<Session>> all;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = std::make_unique<const Close>(why);
    for (const auto& [at, session] : schedule_) {
      if (auto held = session.lock()) all.push_back(std::move(held));
    }
  }
  for (const auto& session : all) session->close(why);
}

// One that was in hand while all were closed.
void Sessions::tell_late(Session& session) {
  const Close* closing;
  {
    const std::lock_guard lock(mutex_);
    closing = closing_.get();
  }
  if (closing != nullptr) session.close(*closing);
}

void Sessions::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Sessions::run() {
  std::unique_lock lock(mutex_);
  std::vector<std::shared_ptr<Session>> due;
  while (!stopped_) {
    const auto now = std::chrono::steady_clock::now();
    while (!schedule_.empty() && schedule_.begin()->first <= now) {
      auto session = schedule_.begin()->second.lock();
      if (session) session->place_.is_listed = false;
      schedule_.erase(schedule_.begin());
      if (session) due.push_back(std::move(session));
    }
    if (!due.empty()) {
      lock.unlock();
      for (const auto& session : due) {
        const SteadyTime next = session->look(now);
        look(*session, next);
        tell_late(*session);
      }
      due.clear();
      lock.lock();
    } else if (schedule_.empty() || schedule_.begin()->first == SteadyTime::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, schedule_.begin()->first);
    }
  }
}

}  // namespace prowingen::websocket
