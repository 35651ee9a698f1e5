#include "engine_proxygen/rate_watch.h"

#include "engine_proxygen/event_thread.h"

namespace prowingen::proxygen_engine {

void RateWatch::wait() {
  const auto now = std::chrono::steady_clock::now();
  const auto moved = moved_();
  pace_.wait(now, moved.own);
  if (isScheduled() || thread_.options().min_rate == 0) return;
  pace_.open_window(now, moved.whole);
  schedule();
}

void RateWatch::schedule() {
  thread_.loop().timer().scheduleTimeout(this, to_milliseconds(thread_.options().min_rate_window));
}

void RateWatch::timeoutExpired() noexcept {
  if (!pace_.waits()) return;  // the next wait opens a window
  const auto rate = static_cast<double>(thread_.options().min_rate);
  if (!pace_.too_slow(std::chrono::steady_clock::now(), moved_().whole, rate)) return schedule();
  const auto too_slow = too_slow_;  // this may be gone before it returns
  too_slow();
}

}  // namespace prowingen::proxygen_engine
