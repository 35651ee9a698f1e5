#include "core/lead.h"

namespace prowingen {

void Lead::lend() {
  asked_.store(false, std::memory_order_relaxed);
  lent_.store(true);
  mutex_.unlock();
  for (;;) {
    const auto turns = turns_.load(std::memory_order_relaxed);
    watch(turns);
    if (reclaimed_.load()) {
      mutex_.lock();
      break;
    }
    if (in_turn() || turns_.load(std::memory_order_relaxed) != turns) continue;
    if (mutex_.try_lock()) break;
  }
  lent_.store(false);
}

// Until it is time to look again.
void Lead::watch(std::uint64_t turns) {
  std::unique_lock lock(watch_mutex_);
  if (watch_wake_.wait_for(lock, patience, [this] { return reclaimed_.load(); })) return;
  const auto sleeps = [&] { return in_turn() && turns_.load(std::memory_order_relaxed) == turns; };
  if (!sleeps()) return;
  watch_sleeps_.store(true);
  if (sleeps())
    watch_wake_.wait(lock, [this] { return !watch_sleeps_.load() || reclaimed_.load(); });
  watch_sleeps_.store(false);
}

void Lead::end_sleep() {
  {
    const std::lock_guard lock(watch_mutex_);
    watch_sleeps_.store(false);
  }
  watch_wake_.notify_one();
}

void Lead::reclaim() {
  {
    const std::lock_guard lock(watch_mutex_);
    reclaimed_.store(true);
  }
  watch_wake_.notify_one();
  interrupt_();
}

}  // namespace prowingen
