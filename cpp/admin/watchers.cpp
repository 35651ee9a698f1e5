#include "admin/watchers.h"

#include <chrono>
#include <new>
#include <system_error>
#include <utility>

#include "core/signals.h"

namespace prowingen::admin {

bool Watchers::add(const std::shared_ptr<Exchange>& exchange) {
  const std::lock_guard lock(mutex_);
  if (ended_ || stopped_ || watchers_.size() == most) return false;
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {  // there are no more to be had
      return false;
    }
  }
  ResponseBody& body = exchange->response_body;
  body = {};
  body.allowed = true;
  if (exchange->push(Chunk(tells_.server()), high_water, false) != Exchange::Push::departed) {
    watchers_.push_back(exchange);
    has_new_ = true;
    changed_.notify_one();
  }
  return true;
}

bool Watchers::send(Exchange& watcher, const std::string& events) {
  switch (watcher.wait_writable(SteadyTime())) {  // which does not wait
    case Exchange::Push::departed: return false;
    case Exchange::Push::full: return true;
    case Exchange::Push::ok: break;
  }
  return watcher.push(Chunk(events), high_water, false) != Exchange::Push::departed;
}

void Watchers::run() {
  const BlockedSignals no_signals;
  std::unique_lock lock(mutex_);
  for (unsigned count = 0;; ++count) {
    changed_.wait(lock, [this] { return stopped_ || !watchers_.empty(); });
    if (stopped_) return;
    const auto next = std::chrono::steady_clock::now() + interval;
    const bool with_slowest = std::exchange(has_new_, false) || count % intervals_of_slowest == 0;
    lock.unlock();
    std::string events;
    try {
      events = tells_.figures();
      if (with_slowest) events += tells_.slowest();
    } catch (const std::bad_alloc&) {
      events.clear();  // these are left out, as for a slow watcher
    }
    lock.lock();
    std::erase_if(watchers_, [&](const auto& watcher) { return !send(*watcher, events); });
    changed_.wait_until(lock, next, [this] { return stopped_ || has_new_; });
  }
}

void Watchers::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  for (const auto& watcher : watchers_) {
    // An end that waits behind what is not read may never come.
    if (watcher->wait_writable(SteadyTime()) == Exchange::Push::full) {
      watcher->abort();
    } else {
      watcher->push(Chunk(), high_water, true);
    }
  }
  watchers_.clear();
}

void Watchers::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    watchers_.clear();
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace prowingen::admin
