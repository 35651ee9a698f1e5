// Which of several I/O threads gives up whom while the memory budget is full.
#include "core/memory_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace prowingen {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t mib = std::uint64_t{1024} * 1024;
constexpr std::chrono::milliseconds tick_time{100};

// Two I/O threads; on each is one holder.
class TwoWatches : public ::testing::Test {
 protected:
  using Task = MemoryWatch::Task;

  // What one of them does at a tick. Returns how many were given up.
  int tick(MemoryWatch& watch, MemoryHolding holding) {
    const auto task = watch.tick(now_);
    int given_up = 0;
    if (task == Task::none) return given_up;
    watch.see_to_holders<int>(
        task, now_, [&](MemoryWatch::Holders<int>& holders) { holders.emplace_back(holding, 0); },
        [&](int& /*holder*/, std::uint64_t /*bytes*/) { return ++given_up != 0; });
    return given_up;
  }

  void pass(std::chrono::milliseconds time) { now_ += time; }

  const MemoryHolding small_{100'000, 1s};
  const MemoryHolding great_{mib, 10s};
  MemoryBudget memory_{mib};
  std::function<void(Severity, std::string)> report_ = [](Severity, const std::string&) {};
  MemoryCharge charge_{&memory_};
  MemoryWatch first_{memory_, report_};
  MemoryWatch second_{memory_, report_};

 private:
  MemoryBudget::Time now_{1h};
};

TEST_F(TwoWatches, TheGreediestOfBothIsGivenUp) {
  charge_.set(mib + mib / 16);
  for (int ticks = 0; ticks < 3; ++ticks) {
    EXPECT_EQ(tick(first_, small_), 0);
    EXPECT_EQ(tick(second_, great_), ticks < 2 ? 0 : 1) << "after " << ticks;
    pass(tick_time);
  }
}

TEST_F(TwoWatches, NobodyIsGivenUpForAPauseOfAll) {
  charge_.set(mib + mib / 16);
  for (int ticks = 0; ticks < 2; ++ticks) {
    EXPECT_EQ(tick(first_, small_), 0);
    EXPECT_EQ(tick(second_, great_), 0);
    pass(tick_time);
  }
  pass(5s);
  EXPECT_EQ(tick(first_, small_), 0) << "who ticks first does not know of the other";
  EXPECT_EQ(tick(second_, great_), 1);
}

TEST_F(TwoWatches, WhoIsStuckIsWaitedForNoLongerThanSomeTicks) {
  charge_.set(mib + mib / 16);
  int ticks = 1;
  while (tick(first_, small_) == 0 && ticks < 100) {
    pass(tick_time);
    ++ticks;
  }
  EXPECT_EQ(ticks, 4);
}

TEST_F(TwoWatches, AnOverflowWaitsForNobody) {
  charge_.set(mib + mib / 4 + MemoryCharge::step);
  EXPECT_EQ(tick(first_, small_), 1);
}

}  // namespace
}  // namespace prowingen
