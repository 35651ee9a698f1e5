// What clients can bring about as often as they like is said once a second at most.
#pragma once

#include <atomic>
#include <chrono>

namespace prowingen::static_files {

/// Any thread.
class Seldom {
 public:
  /// True for one of those who ask at the same time, and for nobody else for a second.
  bool is_due() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    auto next = next_.load(std::memory_order_relaxed);
    return now >= next && next_.compare_exchange_strong(next, now + std::chrono::seconds(1));
  }

 private:
  std::atomic<std::chrono::steady_clock::duration> next_{};
};

}  // namespace prowingen::static_files
