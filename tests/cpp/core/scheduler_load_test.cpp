// What whole loads get from the scheduler: throughput, latency, and who of the pool does the work.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>

#include "core/scheduler_simulation.h"

namespace prowingen::simulation {
namespace {

Work fast(std::mt19937& random) { return {std::chrono::microseconds(50 + random() % 101)}; }
constexpr Work sleeps_10ms{40us, 10ms};

Tally measure(std::size_t workers, std::size_t clients, const std::function<Work()>& draw,
              Duration switch_interval = 5ms) {
  Simulation load(workers, clients, draw, switch_interval);
  load.run(1s);
  load.forget();
  load.run(3s);
  return load.tally;
}

TEST(SchedulerLoad, FastRequestsAreServedAsBySingleThread) {
  for (const std::size_t clients : {8U, 64U, 256U}) {
    std::mt19937 random(3333);
    const Tally pool = measure(64, clients, [&] { return fast(random); });
    random.seed(3333);
    const Tally single = measure(1, clients, [&] { return fast(random); });
    EXPECT_GT(pool.share_of_busiest(), 0.99);
    EXPECT_LT(pool.wakes, pool.requests() / 1000);
    EXPECT_GT(pool.requests(), single.requests() * 99 / 100);
    EXPECT_LT(percentile(pool.fast, 99), percentile(single.fast, 99) * 11 / 10);
    EXPECT_EQ(pool.interruptions, 0U);
  }
}

TEST(SchedulerLoad, RequestsThatSleepUseTheWholePool) {
  const Tally tally = measure(64, 64, [] { return sleeps_10ms; });
  const auto most = 64 * 3s / (sleeps_10ms.compute + 10ms);
  EXPECT_GT(tally.requests(), static_cast<std::size_t>(most) * 9 / 10);
  EXPECT_LT(percentile(tally.blocking, 99), 12ms);
}

TEST(SchedulerLoad, FastRequestsHardlyWaitForOnesThatSleep) {
  for (const unsigned one_in : {2U, 5U, 10U, 20U, 100U}) {
    std::mt19937 random(3333);
    const Tally tally = measure(16, 16, [&] {
      return random() % one_in == 0 ? Work{40us, 50ms} : Work{100us};
    });
    EXPECT_LT(percentile(tally.fast, 99), 5ms) << "one in " << one_in;
    EXPECT_LT(percentile(tally.blocking, 50), 65ms) << "one in " << one_in;
  }
}

// Whoever loses the GIL within the 5 ms that the interval usually is would be taken for one that
// blocks, and the whole pool be woken: each request is then interrupted as often as it can be.
TEST(SchedulerLoad, ShortSwitchIntervalDoesNotLookLikeBlocking) {
  constexpr Work computes{3ms};
  for (const Duration interval : {Duration(500us), Duration(1ms), Duration(2ms)}) {
    const Tally tally = measure(
        16, 64, [] { return computes; }, interval);
    const double as_often_as_can_be =
        std::chrono::duration<double>(computes.compute) / interval - 1;
    EXPECT_LT(static_cast<double>(tally.interruptions),
              static_cast<double>(tally.requests()) * as_often_as_can_be)
        << interval.count();
  }
}

TEST(SchedulerLoad, RequestsThatSleepUseTheWholePoolWhateverTheSwitchInterval) {
  for (const Duration interval : {Duration(50us), Duration(1ms), Duration(1s)}) {
    const Tally tally = measure(
        16, 16,
        [] {
          return Work{100us, 50ms};
        },
        interval);
    const auto most = 16 * 3s / 50100us;
    EXPECT_GT(tally.requests(), static_cast<std::size_t>(most) * 9 / 10) << interval.count();
  }
}

// The application changes its ways again and again; each time the pool follows within `settling`.
void flip(std::size_t workers, std::size_t clients, Duration settling) {
  SCOPED_TRACE(std::to_string(workers) + " workers, " + std::to_string(clients) + " clients");
  std::mt19937 random(3333);
  bool sleeps = true;
  Simulation load(workers, clients, [&] { return sleeps ? sleeps_10ms : fast(random); });
  for (int round = 0; round < 4; ++round, sleeps = !sleeps) {
    load.run(settling);
    load.forget();
    load.run(1s);
    if (sleeps) {
      const auto most = std::min(workers, clients) * 1s / (sleeps_10ms.compute + 10ms);
      EXPECT_GT(load.tally.requests(), static_cast<std::size_t>(most) * 9 / 10);
    } else {
      EXPECT_GT(load.tally.share_of_busiest(), 0.99);
      EXPECT_LT(percentile(load.tally.fast, 99), clients * 150us + 1ms);
      EXPECT_EQ(load.tally.interruptions, 0U);
    }
  }
}

TEST(SchedulerLoad, FollowsAnApplicationThatChangesItsWays) {
  flip(8, 4, 500ms);
  flip(8, 8, 500ms);
  flip(8, 16, 500ms);
  flip(16, 16, 2s);
}

TEST(SchedulerLoad, LongComputationsAreSharedByTwoWorkersAndNotByThePool) {
  Tally tally = measure(64, 64, [] { return Work{3ms}; });
  std::ranges::sort(tally.served, std::greater<>());
  EXPECT_GT(tally.served[0] + tally.served[1], tally.requests() * 95 / 100);
  EXPECT_GT(tally.requests(), 950U) << "nearly one in 3 ms";
  EXPECT_LT(percentile(tally.fast, 99), 300ms) << "64 requests of 3 ms in turn take 192 ms";
}

TEST(SchedulerLoad, AFastRequestBesideALongComputationGetsItsTurn) {
  std::mt19937 random(3333);
  const Tally tally =
      measure(8, 8, [&] { return random() % 200 == 0 ? Work{200ms} : Work{100us}; });
  EXPECT_LT(percentile(tally.fast, 50), 1ms);
  EXPECT_LT(percentile(tally.fast, 99), 100ms) << "it need not wait for the end of a long one";
}

}  // namespace
}  // namespace prowingen::simulation
