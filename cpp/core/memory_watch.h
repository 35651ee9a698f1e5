// What one I/O thread does about the memory budget: says that it is full, and gives up who holds
// most of it for clients that do not get on.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/memory_budget.h"

namespace prowingen {

/// I/O thread only.
class MemoryWatch {
 public:
  using Time = MemoryBudget::Time;

  explicit MemoryWatch(const EngineContext& context) : context_(context) {}

  /// Somebody is kept waiting or given up.
  void note_shortage(Time now);
  /// A few times a second. True: it has been full for too long, somebody has to be given up.
  bool tick(Time now);

  /// Whether ticks are to go on until a shortage's end has been said.
  bool in_shortage() const { return context_.memory->in_shortage(); }

  /// What a holder costs: what it keeps, times how long its client has hardly moved.
  static double cost(std::uint64_t bytes, std::chrono::duration<double> waited) {
    // Whoever keeps something is given up before long, however lately it moved.
    return static_cast<double>(bytes) * (waited.count() + 0.001);
  }

  template <typename Holder>
  using Holders = std::vector<std::pair<double, Holder>>;  // with their costs

  /// Gives up the costliest of the holders, which `find` lists, until there is room.
  template <typename Holder>
  void cut(Time now, const std::function<void(Holders<Holder>&)>& find,
           const std::function<void(Holder&)>& give_up) {
    if (now - in_vain_ < cut_interval) return;
    note_shortage(now);
    Holders<Holder> holders;
    find(holders);
    std::ranges::sort(holders, std::greater<>(), [](const auto& holder) { return holder.first; });
    for (auto& [cost, holder] : holders) {
      if (context_.memory->excess() == 0) return;
      context_.memory->count_cut();
      give_up(holder);
    }
    // What other threads' connections hold is theirs to give up; looking again at once would not
    // help.
    if (context_.memory->excess() != 0) in_vain_ = now;
  }

 private:
  static constexpr std::chrono::milliseconds cut_interval{10};

  const EngineContext& context_;
  Time full_since_;  // as the ticks saw it
  Time in_vain_;     // nobody was left to be given up
};

}  // namespace prowingen
