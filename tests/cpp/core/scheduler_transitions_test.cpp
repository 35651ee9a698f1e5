// Every transition of a worker's state, legal or not, and the scheduler without a GIL.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/scheduler.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using Time = Scheduler::Time;
using Duration = Scheduler::Duration;
using Worker = Scheduler::Worker;
using enum Scheduler::State;

Time at(Duration time) { return Time{} + 1h + time; }

Scheduler::Rules without_gil(std::size_t cores) {
  Scheduler::Rules rules;
  rules.has_gil = false;
  rules.cores = cores;
  return rules;
}

// ---- the diagram

constexpr std::array all_states{parked, standby, ready, running, waiting};

// The first worker of a scheduler, brought into the state.
void reach(Scheduler& scheduler, Scheduler::State state) {
  const Worker worker = scheduler.enrol();
  if (state == ready) return;
  if (state == running || state == waiting) {
    scheduler.started(worker, at(0s));
    if (state == waiting) scheduler.wait_begins(worker);
    return;
  }
  scheduler.parked(worker);
  if (state == standby) {
    ASSERT_EQ(scheduler.wake(at(0s), 1), worker);
  }
}

TEST(SchedulerTransitions, AreThoseOfTheDiagramAndNoOthers) {
  const std::vector<std::pair<const char*, std::function<void(Scheduler&)>>> events{
      {"started", [](Scheduler& s) { s.started(0, at(1s)); }},
      {"finished", [](Scheduler& s) { s.finished(0); }},
      {"parked", [](Scheduler& s) { s.parked(0); }},
      {"got_gil", [](Scheduler& s) { s.got_gil(0, at(1s), 0ns); }},
      {"wait_begins", [](Scheduler& s) { s.wait_begins(0); }},
      {"wait_ends", [](Scheduler& s) { s.wait_ends(0, at(1s)); }},
  };
  const std::map<std::pair<Scheduler::State, std::string>, Scheduler::State> arrows{
      {{ready, "started"}, running},       {{running, "finished"}, ready},
      {{ready, "parked"}, parked},         {{standby, "got_gil"}, ready},
      {{running, "wait_begins"}, waiting}, {{waiting, "wait_ends"}, running},
  };
  for (const auto from : all_states) {
    for (const auto& [name, event] : events) {
      SCOPED_TRACE(std::string(name) + " in state " + std::to_string(static_cast<int>(from)));
      Scheduler scheduler({});
      reach(scheduler, from);
      ASSERT_EQ(scheduler.state(0), from);
      const auto arrow = arrows.find({from, name});
      if (arrow == arrows.end()) {
        EXPECT_THROW(event(scheduler), std::logic_error);
        EXPECT_EQ(scheduler.state(0), from);
      } else {
        event(scheduler);
        EXPECT_EQ(scheduler.state(0), arrow->second);
      }
    }
  }
}

TEST(SchedulerTransitions, OnlyAParkedWorkerIsWoken) {
  for (const auto state : all_states) {
    Scheduler scheduler({});
    reach(scheduler, state);
    // Long after, so that no fresh request is in the way.
    EXPECT_EQ(scheduler.wake(at(1h), 1).has_value(), state == parked) << static_cast<int>(state);
  }
}

TEST(SchedulerTransitions, CountsTheRunningAndKnowsTheParked) {
  Scheduler scheduler({});
  reach(scheduler, running);
  EXPECT_EQ(scheduler.running(), 1U);
  EXPECT_FALSE(scheduler.anybody_parked());
  scheduler.wait_begins(0);
  EXPECT_EQ(scheduler.running(), 0U) << "it waits for a peer and needs no GIL";
  scheduler.wait_ends(0, at(1s));
  scheduler.finished(0);
  scheduler.parked(0);
  EXPECT_EQ(scheduler.running(), 0U);
  EXPECT_TRUE(scheduler.anybody_parked());
}

// ---- requests that live long

Scheduler::Rules pool_of(std::size_t workers, std::size_t spares, std::size_t away) {
  Scheduler::Rules rules;
  rules.workers = workers;
  rules.most_spares = spares;
  rules.most_away = away;
  return rules;
}

Worker away_in(Scheduler& scheduler) {
  const Worker worker = scheduler.enrol();
  scheduler.started(worker, at(0s));
  scheduler.leaves(worker, false);
  return worker;
}

void reach_parked_beside(Scheduler& scheduler) { scheduler.parked(scheduler.enrol()); }

TEST(SchedulerLongLives, WhoLeavesIsNotOfThePoolAnyMore) {
  for (const auto from : {running, waiting}) {
    Scheduler scheduler(pool_of(1, 1, 1));
    reach(scheduler, from);
    EXPECT_TRUE(scheduler.may_leave());
    scheduler.leaves(0, false);
    EXPECT_EQ(scheduler.state(0), away);
    EXPECT_EQ(scheduler.away(), 1U);
    EXPECT_EQ(scheduler.running() + scheduler.waiting(), 0U);
    EXPECT_FALSE(scheduler.may_leave()) << "as many as may";
    reach_parked_beside(scheduler);
    EXPECT_FALSE(scheduler.everybody_busy());
    EXPECT_EQ(scheduler.wake(at(1s), 1), 1U) << "no fresh request of the pool is in the way";
  }
}

TEST(SchedulerLongLives, WhoReturnsFillsThePoolThenTheSparesThenEnds) {
  Scheduler scheduler(pool_of(1, 1, 3));
  const Worker one = away_in(scheduler);
  const Worker two = away_in(scheduler);
  const Worker three = away_in(scheduler);
  EXPECT_EQ(scheduler.returns(one), ready) << "nobody else is there";
  EXPECT_EQ(scheduler.returns(two), spare);
  EXPECT_TRUE(scheduler.has_spare());
  EXPECT_EQ(scheduler.returns(three), gone);
  EXPECT_EQ(scheduler.away(), 0U);
  scheduler.forget(three);
  EXPECT_EQ(scheduler.enrol(), three) << "its place is used again";
}

TEST(SchedulerLongLives, ASpareOneTakesThePlace) {
  Scheduler scheduler(pool_of(1, 1, 3));
  const Worker one = away_in(scheduler);
  const Worker two = away_in(scheduler);
  scheduler.returns(one);
  scheduler.returns(two);
  scheduler.started(one, at(1s));
  scheduler.leaves(one, true);
  EXPECT_FALSE(scheduler.has_spare());
  EXPECT_EQ(scheduler.state(two), parked);
  EXPECT_EQ(scheduler.wake(at(1s), 1), two);
}

TEST(SchedulerLongLives, OneThatWasInterruptedLeavesNobodyStandingIn) {
  Scheduler scheduler(pool_of(2, 0, 1));
  scheduler.enrol();
  scheduler.parked(scheduler.enrol());
  scheduler.started(0, at(0s));
  ASSERT_EQ(scheduler.wake(at(1ms), 1), 1U);
  scheduler.got_gil(1, at(10ms), 9ms);  // by force
  scheduler.leaves(0, false);
  EXPECT_TRUE(scheduler.may_take(1, at(1s))) << "it stands in for nobody";
}

// ---- without a GIL

TEST(SchedulerWithoutGil, RunsUpToTheCores) {
  Scheduler scheduler(without_gil(2));
  for (int i = 0; i < 4; ++i) scheduler.parked(scheduler.enrol());
  for (int i = 0; i < 2; ++i) {
    const auto worker = scheduler.wake(at(0s), 10);
    ASSERT_TRUE(worker);
    scheduler.got_gil(*worker, at(0s), 0ns);
    EXPECT_TRUE(scheduler.may_take(*worker, at(0s)));
    scheduler.started(*worker, at(0s));
  }
  EXPECT_EQ(scheduler.wake(at(1h), 10), std::nullopt);
  EXPECT_FALSE(scheduler.application_blocks()) << "there is nothing to prove";
}

TEST(SchedulerWithoutGil, WhoStandsByHasACoreAlready) {
  Scheduler scheduler(without_gil(2));
  for (int i = 0; i < 4; ++i) scheduler.parked(scheduler.enrol());
  EXPECT_TRUE(scheduler.wake(at(0s), 4));
  EXPECT_TRUE(scheduler.wake(at(0s), 4));
  EXPECT_EQ(scheduler.wake(at(0s), 4), std::nullopt);
}

TEST(SchedulerWithoutGil, WhoWaitsForAPeerLeavesItsCore) {
  Scheduler scheduler(without_gil(1));
  scheduler.enrol();
  scheduler.enrol();
  scheduler.parked(0);
  scheduler.started(1, at(0s));
  EXPECT_EQ(scheduler.wake(at(1s), 1), std::nullopt);
  scheduler.wait_begins(1);
  EXPECT_EQ(scheduler.wake(at(1s), 1), 0U);
}

TEST(SchedulerWithoutGil, WakesNoMoreThanThereAreRequests) {
  Scheduler scheduler(without_gil(8));
  for (int i = 0; i < 8; ++i) scheduler.parked(scheduler.enrol());
  EXPECT_TRUE(scheduler.wake(at(0s), 1));
  EXPECT_EQ(scheduler.wake(at(0s), 1), std::nullopt);
}

}  // namespace
}  // namespace prowingen
