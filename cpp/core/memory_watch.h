// What one I/O thread does about the memory budget: says that it is full, and gives up who holds
// most of it for clients that do not get on.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
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

  template <typename Holder>
  using Holders = std::vector<std::pair<MemoryHolding, Holder>>;

  /// Gives up the costliest of the holders, of which `find` lists who holds something, until there
  /// will be room: what some keep is given back only when an engine is done with them.
  template <typename Holder>
  void cut(Time now, const std::function<void(Holders<Holder>&)>& find,
           const std::function<void(Holder&)>& give_up) {
    if (now - in_vain_ < cut_interval) return;
    note_shortage(now);
    Holders<Holder> holders;
    find(holders);
    std::ranges::sort(holders, std::greater<>(),
                      [](const auto& holder) { return holder.first.cost(); });
    std::uint64_t excess = context_.memory->excess();
    for (auto& [holding, holder] : holders) {
      if (excess == 0) return;
      context_.memory->count_cut();
      give_up(holder);
      excess -= std::min(excess, holding.bytes);
    }
    // What other threads' connections hold is theirs to give up; looking again at once would not
    // help.
    if (excess != 0) in_vain_ = now;
  }

 private:
  static constexpr std::chrono::milliseconds cut_interval{10};

  const EngineContext& context_;
  Time full_since_;  // as the ticks saw it
  Time in_vain_;     // nobody was left to be given up
};

}  // namespace prowingen
