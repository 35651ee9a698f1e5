// Whoever is read no further until the memory budget has room.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/memory_budget.h"

namespace prowingen {

/// `Waiter` has a member `bool in_memory_queue = false`. I/O thread only.
template <typename Waiter>
class MemoryWaiters {
 public:
  /// Once, however often it has been let go on meanwhile and was stopped again.
  void add(std::shared_ptr<Waiter> waiter) {
    if (std::exchange(waiter->in_memory_queue, true)) return;
    waiters_.push_back(std::move(waiter));
  }

  /// Calls `resume` with them, in the order in which they came, as long as there is room. It may
  /// add() whom it is called with.
  template <typename Resume>
  void resume(const MemoryBudget& budget, Resume resume) {
    if (waiters_.empty() || budget.full()) return;
    auto waiting = std::exchange(waiters_, {});
    for (auto& waiter : waiting) {
      if (budget.full()) {
        waiters_.push_back(std::move(waiter));
      } else {
        waiter->in_memory_queue = false;
        resume(*waiter);
      }
    }
  }

 private:
  std::vector<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace prowingen
