// The scheduler's rules one by one, with made-up times, and rules 3 and 4 against a plain model.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <random>

#include "core/scheduler.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using Time = Scheduler::Time;
using Duration = Scheduler::Duration;
using Worker = Scheduler::Worker;

Time at(Duration time) { return Time{} + 1h + time; }

// Brings a parked worker to a running request.
void run(Scheduler& scheduler, Worker worker, Time now) {
  ASSERT_EQ(scheduler.wake(now, 1), worker);
  scheduler.got_gil(worker, now, 0ns);
  scheduler.started(worker, now);
}

// ---- rule 3

TEST(SchedulerRules, ParkedWorkersAreWokenLastInFirstOut) {
  Scheduler scheduler({});
  for (int i = 0; i < 4; ++i) scheduler.enrol();
  for (const Worker worker : {2U, 0U, 3U, 1U}) scheduler.parked(worker);
  Time now = at(0s);
  for (const Worker worker : {1U, 3U, 0U, 2U}) {
    run(scheduler, worker, now);
    now += 1s;
  }
}

TEST(SchedulerRules, NobodyIsWokenWithoutRequests) {
  Scheduler scheduler({});
  scheduler.parked(scheduler.enrol());
  EXPECT_EQ(scheduler.wake(at(0s), 0), std::nullopt);
}

TEST(SchedulerRules, NobodyIsWokenWhileAWorkerStandsBy) {
  Scheduler scheduler({});
  for (int i = 0; i < 2; ++i) scheduler.parked(scheduler.enrol());
  ASSERT_TRUE(scheduler.wake(at(0s), 2));
  EXPECT_EQ(scheduler.wake(at(1s), 2), std::nullopt);
}

TEST(SchedulerRules, NobodyIsWokenWhileAWorkerIsAboutToLook) {
  Scheduler scheduler({});
  scheduler.enrol();
  scheduler.enrol();
  scheduler.parked(0);
  EXPECT_EQ(scheduler.wake(at(0s), 9), std::nullopt) << "worker 1 is ready";
  scheduler.started(1, at(0s));
  EXPECT_EQ(scheduler.wake(at(1s), 9), 0U);
}

TEST(SchedulerRules, WorkerBackFromAPeerIsFreshAgain) {
  Scheduler scheduler({});
  scheduler.enrol();
  scheduler.enrol();
  scheduler.parked(0);
  scheduler.started(1, at(0s));
  scheduler.wait_begins(1);
  scheduler.wait_ends(1, at(1s));
  EXPECT_EQ(scheduler.wake(at(1s + 199us), 1), std::nullopt);
  EXPECT_EQ(scheduler.wake(at(1s + 200us), 1), 0U);
}

TEST(SchedulerRules, WorkerThatWaitsForAPeerIsNotWaitedFor) {
  Scheduler scheduler({});
  scheduler.enrol();
  scheduler.enrol();
  scheduler.parked(0);
  scheduler.started(1, at(0s));
  scheduler.wait_begins(1);
  EXPECT_EQ(scheduler.wake(at(1us), 1), 0U);
}

// ---- rule 4

TEST(SchedulerRules, FinishedWorkerLeavesTheGilToWhoStandsBy) {
  Scheduler scheduler({});
  scheduler.enrol();
  scheduler.enrol();
  scheduler.parked(0);
  scheduler.started(1, at(0s));
  ASSERT_EQ(scheduler.wake(at(1ms), 1), 0U);
  scheduler.finished(1);
  EXPECT_FALSE(scheduler.may_take(1, at(1ms)));
  scheduler.parked(1);
  scheduler.got_gil(0, at(1ms), 10us);
  EXPECT_TRUE(scheduler.may_take(0, at(1ms)));
}

TEST(SchedulerRules, WorkerAloneTakesOneRequestAfterTheOther) {
  Scheduler scheduler({});
  const Worker worker = scheduler.enrol();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(scheduler.may_take(worker, at(i * 100us)));
    scheduler.started(worker, at(i * 100us));
    scheduler.finished(worker);
  }
}

// Workers end their requests in any order: who is the youngest must be right after each of them.
TEST(SchedulerRules, AgreeWithASimpleModelOfRulesThreeAndFour) {
  Scheduler::Rules rules;
  rules.blocking_above = 2;  // never
  Scheduler scheduler(rules);
  std::array<std::optional<Time>, 6> started;  // of those that run
  for (std::size_t i = 0; i < started.size(); ++i) scheduler.parked(scheduler.enrol());
  std::mt19937 random(3333);
  Time now = at(0s);
  for (int round = 0; round < 50'000; ++round) {
    now += std::chrono::microseconds(random() % 150);
    const bool fresh = std::ranges::any_of(
        started, [&](const auto& time) { return time && now - *time < rules.fresh; });
    const bool due = !fresh && scheduler.anybody_parked();
    const auto woken = scheduler.wake(now, 1);
    ASSERT_EQ(woken.has_value(), due) << round;
    const auto worker = woken.value_or(static_cast<Worker>(random() % started.size()));
    const auto state = scheduler.state(worker);
    if (state == Scheduler::State::parked) continue;
    if (state == Scheduler::State::waiting) {
      scheduler.wait_ends(worker, now);
      started[worker] = now;
      continue;
    }
    if (state == Scheduler::State::running && random() % 4 == 0) {
      scheduler.wait_begins(worker);
      started[worker].reset();
      continue;
    }
    if (woken) {
      scheduler.got_gil(worker, now, 0ns);
    } else {
      scheduler.finished(worker);
      started[worker].reset();
      const bool others_fresh = std::ranges::any_of(
          started, [&](const auto& time) { return time && now - *time < rules.fresh; });
      ASSERT_EQ(scheduler.may_take(worker, now), !others_fresh) << round;
      if (others_fresh || random() % 4 == 0) {
        scheduler.parked(worker);
        continue;
      }
    }
    scheduler.started(worker, now);
    started[worker] = now;
  }
}

// ---- rule 5

// Lets `count` workers take the GIL `apart` from each other, the one before still in a request.
void take_in_turn(Scheduler& scheduler, Time& now, int count, Duration apart, Duration waited) {
  for (int i = 0; i < count; ++i) {
    now += apart;
    const auto worker = scheduler.wake(now, 1000);
    ASSERT_TRUE(worker);
    scheduler.got_gil(*worker, now, waited);
    scheduler.started(*worker, now);
  }
}

Scheduler with_parked_workers(int count) {
  Scheduler scheduler({});
  for (int i = 0; i < count; ++i) scheduler.parked(scheduler.enrol());
  return scheduler;
}

TEST(SchedulerRules, BlockingIsProvenByManyAndNotByOne) {
  Scheduler scheduler = with_parked_workers(64);
  Time now = at(0s);
  take_in_turn(scheduler, now, 10, 1ms, 0ns);
  EXPECT_FALSE(scheduler.application_blocks());
  take_in_turn(scheduler, now, 10, 1ms, 0ns);
  EXPECT_TRUE(scheduler.application_blocks());
}

TEST(SchedulerRules, WhoCouldHaveBeenInterruptedProvesNothing) {
  Scheduler scheduler = with_parked_workers(64);
  Time now = at(0s);
  take_in_turn(scheduler, now, 60, 6ms, 1ms);
  EXPECT_FALSE(scheduler.application_blocks());
}

TEST(SchedulerRules, WhoParkedProvesNothing) {
  Scheduler scheduler = with_parked_workers(2);
  for (int i = 0; i < 100; ++i) {
    const auto worker = scheduler.wake(at(i * 1ms), 1);
    ASSERT_TRUE(worker);
    scheduler.got_gil(*worker, at(i * 1ms), 50us);
    scheduler.started(*worker, at(i * 1ms));
    scheduler.finished(*worker);
    scheduler.parked(*worker);
  }
  EXPECT_FALSE(scheduler.application_blocks());
}

TEST(SchedulerRules, BlockingApplicationGetsAWorkerForEachRequest) {
  Scheduler scheduler = with_parked_workers(64);
  Time now = at(0s);
  take_in_turn(scheduler, now, 20, 1ms, 0ns);
  ASSERT_TRUE(scheduler.application_blocks());
  ASSERT_TRUE(scheduler.wake(now, 2)) << "although a fresh request runs";
  EXPECT_TRUE(scheduler.wake(now, 2)) << "although one stands by";
  EXPECT_EQ(scheduler.wake(now, 2), std::nullopt) << "two stand by for two";
}

TEST(SchedulerRules, ForcingTheGilAgainAndAgainMeansThatTheApplicationNoLongerBlocks) {
  Scheduler scheduler = with_parked_workers(64);
  Time now = at(0s);
  take_in_turn(scheduler, now, 20, 1ms, 0ns);
  for (int i = 0; scheduler.application_blocks(); ++i) {
    ASSERT_LT(i, 40) << "never left the mode for blocking applications";
    take_in_turn(scheduler, now, 1, 5ms, 5ms);
  }
}

TEST(SchedulerRules, RequestsThatKeepTheGilWhileAnotherStandsByProveThatTheApplicationIsQuick) {
  Scheduler scheduler = with_parked_workers(64);
  Time now = at(0s);
  take_in_turn(scheduler, now, 20, 1ms, 0ns);
  ASSERT_TRUE(scheduler.wake(now, 1000));
  constexpr Worker last = 63 - 19;
  scheduler.finished(last);
  int requests = 0;
  for (; scheduler.application_blocks(); ++requests) {
    ASSERT_LT(requests, 1000) << "never left the mode for blocking applications";
    scheduler.started(last, now += 5us);
    scheduler.finished(last);
  }
  EXPECT_GT(requests, 100) << "a few quick ones between others that block prove nothing";
}

TEST(SchedulerRules, RequestsAloneDoNotProveThatTheApplicationIsQuick) {
  Scheduler scheduler = with_parked_workers(20);
  Time now = at(0s);
  take_in_turn(scheduler, now, 20, 1ms, 0ns);
  scheduler.finished(0);
  for (int i = 0; i < 1000; ++i) {
    scheduler.started(0, now += 5us);
    scheduler.finished(0);
  }
  EXPECT_TRUE(scheduler.application_blocks()) << "nobody stood by";
}

// ---- rule 6

// Worker 1 has interrupted worker 2 and runs a request in its stead.
Scheduler interrupted_at_6ms() {
  Scheduler scheduler = with_parked_workers(3);
  run(scheduler, 2, at(0s));
  EXPECT_EQ(scheduler.wake(at(1ms), 1), 1U);
  scheduler.got_gil(1, at(6ms), 5ms);
  scheduler.started(1, at(6ms));
  return scheduler;
}

TEST(SchedulerRules, WhoInterruptedAnotherStandsInForItAndThenParks) {
  Scheduler scheduler = interrupted_at_6ms();
  EXPECT_EQ(scheduler.wake(at(7ms), 1), std::nullopt) << "one waits for the GIL already";
  scheduler.finished(1);
  EXPECT_TRUE(scheduler.may_take(1, at(7ms)));
  EXPECT_FALSE(scheduler.may_take(1, at(10ms)));
}

TEST(SchedulerRules, StandInThatBlocksDoesNotKeepOthersAsleep) {
  Scheduler scheduler = interrupted_at_6ms();
  EXPECT_EQ(scheduler.wake(at(15ms), 1), std::nullopt);
  EXPECT_EQ(scheduler.wake(at(17ms), 1), 0U);
}

TEST(SchedulerRules, QuickRequestsAreNotHandedOver) {
  Scheduler scheduler = with_parked_workers(1);
  EXPECT_TRUE(scheduler.may_lead(0, 9us));
  EXPECT_TRUE(scheduler.may_lead(0, 19us)) << "not at once";
  EXPECT_FALSE(scheduler.may_lead(0, 21us));
  EXPECT_FALSE(scheduler.may_lead(0, 11us)) << "nor at once again";
  EXPECT_TRUE(scheduler.may_lead(0, 9us));
}

TEST(SchedulerRules, WhoeverIsNeededDoesNotLead) {
  Scheduler scheduler = with_parked_workers(1);
  ASSERT_TRUE(scheduler.wake(at(0s), 1));
  EXPECT_FALSE(scheduler.may_lead(0, 1us));
}

TEST(SchedulerRules, ThereIsNoLeaderInAnApplicationThatBlocks) {
  Scheduler scheduler = with_parked_workers(64);
  Time now = at(0s);
  take_in_turn(scheduler, now, 20, 1ms, 0ns);
  ASSERT_TRUE(scheduler.application_blocks());
  EXPECT_FALSE(scheduler.may_lead(0, 1us));
}

TEST(SchedulerRules, WithoutAGilThereIsNoLeader) {
  Scheduler::Rules rules;
  rules.has_gil = false;
  Scheduler scheduler(rules);
  scheduler.parked(scheduler.enrol());
  EXPECT_FALSE(scheduler.may_lead(0, 1us));
}

TEST(SchedulerRules, TheLeaderIsWokenThoughOthersParkedLater) {
  Scheduler scheduler = with_parked_workers(3);
  scheduler.leads(0);
  EXPECT_EQ(scheduler.wake(at(0s), 1), 0U);
  scheduler.got_gil(0, at(0s), 0ns);
  scheduler.started(0, at(0s));
  EXPECT_EQ(scheduler.wake(at(1s), 1), 2U) << "it is in a request";
  scheduler.leads_no_more(0);
}

}  // namespace
}  // namespace prowingen
