#include "core/overdue.h"

#include <utility>

#include "core/native_answer.h"
#include "core/signals.h"

namespace prowingen {

OverdueWatch::OverdueWatch(WorkQueue& queue, std::chrono::nanoseconds interval, Tell tell)
    : queue_(queue), interval_(interval), tell_(std::move(tell)), thread_([this] { watch(); }) {}

void OverdueWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stops_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void OverdueWatch::watch() {
  const BlockedSignals no_signals;
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    lock.unlock();
    const auto now = std::chrono::steady_clock::now();
    for (auto& request : queue_.take_overdue(now)) {
      auto done = Exchange::Overruling::none;
      if (!request.warned_only) {
        done = request.exchange->overrule(refusal_head(took_too_long), refusal_page(took_too_long));
      }
      tell_({std::move(request), done});
    }
    const auto next = std::min(queue_.next_overdue(), now + interval_);
    lock.lock();
    stops_.wait_until(lock, next, [this] { return stopped_; });
  }
}

}  // namespace prowingen
