#include "core/lead.h"

namespace prowingen {

void Lead::lend() {
  asked_.store(false, std::memory_order_relaxed);
  lent_.store(true);
  mutex_.unlock();
  for (;;) {
    const auto turns = turns_.load(std::memory_order_relaxed);
    const bool called = watch(turns);
    if (reclaimed_.load()) {
      mutex_.lock();
      break;
    }
    const bool goes_on = in_turn() || turns_.load(std::memory_order_relaxed) != turns;
    if (goes_on && !called) continue;
    // Who has the turn sees what it was called for.
    if (mutex_.try_lock()) break;
  }
  lent_.store(false);
}

// Until it is time to look again.
bool Lead::watch(std::uint64_t turns) {
  std::unique_lock lock(watch_mutex_);
  const auto told = [this] { return called_ || reclaimed_.load(); };
  if (!watch_wake_.wait_for(lock, patience, told)) {
    const auto sleeps = [&] {
      return in_turn() && turns_.load(std::memory_order_relaxed) == turns;
    };
    if (!sleeps()) return false;
    watch_sleeps_.store(true);
    if (sleeps()) watch_wake_.wait(lock, [&] { return !watch_sleeps_.load() || told(); });
    watch_sleeps_.store(false);
  }
  return std::exchange(called_, false);
}

void Lead::call() {
  if (!is_lent() || in_turn()) return;
  {
    const std::lock_guard lock(watch_mutex_);
    called_ = true;
  }
  watch_wake_.notify_one();
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
