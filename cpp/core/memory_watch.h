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

  /// Both outlive it.
  MemoryWatch(MemoryBudget& memory, const std::function<void(Severity, std::string)>& report)
      : memory_(memory), report_(report), number_(memory.add_watch()) {}

  /// Somebody is kept waiting or given up.
  void note_shortage(Time now);
  /// A few times a second: what is to be done.
  enum class Task : std::uint8_t {
    none,
    look,  // the budget is full: note what the holders cost, for other threads to know
    cut    // and has been for too long: somebody has to be given up
  };
  Task tick(Time now);

  /// Whether ticks are to go on until a shortage's end has been said.
  bool in_shortage() const { return memory_.in_shortage(); }

  template <typename Holder>
  using Holders = std::vector<std::pair<MemoryHolding, Holder>>;

  /// Gives up the costliest of the holders, of which `find` lists who holds what counts, until
  /// there will be room: what some keep is given back only when an engine is done with them.
  /// `give_up` is told how much was held, and returns false for one who has got on since. Only
  /// looks at them for Task::look.
  template <typename Holder>
  void see_to_holders(Task task, Time now, const std::function<void(Holders<Holder>&)>& find,
                      const std::function<bool(Holder&, std::uint64_t)>& give_up) {
    if (now - in_vain_ < cut_interval) return;
    note_shortage(now);
    Holders<Holder> holders;
    find(holders);
    std::ranges::sort(holders, std::greater<>(),
                      [](const auto& holder) { return holder.first.cost(); });
    const auto others = memory_.costliest_of_others(number_, now);
    std::uint64_t excess = task == Task::cut ? memory_.excess() : 0;
    if (!others && !memory_.overflowing() && !others_are_stuck(now)) excess = 0;  // they look soon
    auto next = holders.begin();
    while (excess != 0 && next != holders.end() && next->first.cost() >= others.value_or(0)) {
      if (give_up(next->second, next->first.bytes)) memory_.count_cut();
      excess -= std::min(excess, next->first.bytes);
      ++next;
    }
    memory_.note_costliest(number_, next == holders.end() ? 0 : next->first.cost(), now);
    // What other threads' connections hold is theirs to give up; looking again at once would not
    // help.
    if (excess != 0 || !others) in_vain_ = now;
  }

 private:
  static constexpr std::chrono::milliseconds cut_interval{10};

  // Time alone tells nothing of the others: after a pause of the whole process, or of the machine,
  // whoever ticks first would take all of them for stuck, and give up its own.
  static constexpr unsigned stuck_ticks = 4;

  bool full_for_long(Time now) const {
    return full_since_ != Time() && now - full_since_ >= MemoryBudget::patience;
  }
  bool others_are_stuck(Time now) const {
    return full_for_long(now) && ticks_without_news_ >= stuck_ticks;
  }

  MemoryBudget& memory_;
  const std::function<void(Severity, std::string)>& report_;
  const unsigned number_;
  Time full_since_;  // as the ticks saw it
  unsigned ticks_without_news_ = 0;
  Time in_vain_;  // nobody was left to be given up
};

}  // namespace prowingen
