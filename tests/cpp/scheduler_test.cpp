// The scheduler's rules: each transition, and a simulation of whole loads with made-up times.
#include "core/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using Time = Scheduler::Time;
using Duration = Scheduler::Duration;
using State = Scheduler::State;
using Worker = Scheduler::Worker;

Time at(Duration time) { return Time{} + 1h + time; }

// Workers that have arrived and found nothing to do.
std::vector<Worker> park(Scheduler& scheduler, int count) {
  std::vector<Worker> workers;
  for (int i = 0; i < count; ++i) {
    workers.push_back(scheduler.enrol());
    scheduler.parked(workers.back());
  }
  return workers;
}

void run(Scheduler& scheduler, Time now) {
  const auto worker = scheduler.wake(now, 1);
  ASSERT_TRUE(worker);
  scheduler.got_gil(*worker, now, 0ns);
  scheduler.started(*worker, now);
}

TEST(Scheduler, WakesTheWorkerThatParkedLast) {
  Scheduler scheduler({});
  const auto workers = park(scheduler, 3);
  EXPECT_EQ(scheduler.wake(at(0s), 1), workers[2]);
}

TEST(Scheduler, WakesNobodyWithoutRequests) {
  Scheduler scheduler({});
  park(scheduler, 1);
  EXPECT_EQ(scheduler.wake(at(0s), 0), std::nullopt);
}

TEST(Scheduler, WakesNobodyWhileAWorkerStandsBy) {
  Scheduler scheduler({});
  park(scheduler, 2);
  ASSERT_TRUE(scheduler.wake(at(0s), 2));
  EXPECT_EQ(scheduler.wake(at(1s), 2), std::nullopt);
}

TEST(Scheduler, WakesNobodyWhileAFreshRequestRuns) {
  Scheduler scheduler({});
  park(scheduler, 2);
  run(scheduler, at(0s));
  EXPECT_EQ(scheduler.wake(at(199us), 1), std::nullopt);
  EXPECT_TRUE(scheduler.wake(at(201us), 1));
}

TEST(Scheduler, WorkerParksWhenAnotherRunsAFreshRequest) {
  Scheduler scheduler({});
  park(scheduler, 2);
  run(scheduler, at(0s));
  run(scheduler, at(300us));
  scheduler.finished(1);
  EXPECT_FALSE(scheduler.may_take(1, at(400us)));  // worker 0's request is 100 µs old
  EXPECT_TRUE(scheduler.may_take(1, at(600us)));
}

TEST(Scheduler, GettingTheGilEarlyAgainAndAgainMeansThatTheApplicationBlocks) {
  Scheduler scheduler({});
  park(scheduler, 64);
  for (int i = 0; i < 40; ++i) run(scheduler, at(i * 1ms));
  EXPECT_TRUE(scheduler.application_blocks());
  EXPECT_TRUE(scheduler.wake(at(40ms), 1)) << "a worker for each request";
}

TEST(Scheduler, ForcingTheGilAgainAndAgainMeansThatItDoesNot) {
  Scheduler scheduler({});
  park(scheduler, 64);
  for (int i = 0; i < 40; ++i) run(scheduler, at(i * 1ms));
  while (scheduler.application_blocks()) {
    const auto worker = scheduler.wake(at(50ms), 1);
    ASSERT_TRUE(worker) << "never left the mode for blocking applications";
    scheduler.got_gil(*worker, at(55ms), 5ms);
    scheduler.started(*worker, at(55ms));
  }
}

TEST(Scheduler, WorkerThatInterruptedAnotherStandsInForItAndThenParks) {
  Scheduler scheduler({});
  park(scheduler, 3);
  run(scheduler, at(0s));
  const auto second = scheduler.wake(at(1ms), 1);
  ASSERT_TRUE(second);
  scheduler.got_gil(*second, at(6ms), 5ms);
  scheduler.started(*second, at(6ms));
  EXPECT_EQ(scheduler.wake(at(7ms), 1), std::nullopt) << "one waits for the GIL already";
  scheduler.finished(*second);
  EXPECT_TRUE(scheduler.may_take(*second, at(7ms)));
  EXPECT_FALSE(scheduler.may_take(*second, at(10ms)));
}

TEST(Scheduler, StandInThatBlocksDoesNotKeepOthersAsleep) {
  Scheduler scheduler({});
  park(scheduler, 3);
  run(scheduler, at(0s));
  const auto second = scheduler.wake(at(1ms), 1);
  ASSERT_TRUE(second);
  scheduler.got_gil(*second, at(6ms), 5ms);
  scheduler.started(*second, at(6ms));
  EXPECT_EQ(scheduler.wake(at(15ms), 1), std::nullopt);
  EXPECT_TRUE(scheduler.wake(at(17ms), 1));
}

TEST(Scheduler, WithoutAGilWakesAWorkerForEachRequestUpToTheCores) {
  Scheduler::Rules rules;
  rules.has_gil = false;
  rules.cores = 2;
  Scheduler scheduler(rules);
  park(scheduler, 4);
  EXPECT_TRUE(scheduler.wake(at(0s), 4));
  EXPECT_TRUE(scheduler.wake(at(0s), 4));
  EXPECT_EQ(scheduler.wake(at(0s), 4), std::nullopt);
}

TEST(Scheduler, IllegalTransitionsThrow) {
  Scheduler scheduler({});
  const Worker worker = scheduler.enrol();
  EXPECT_THROW(scheduler.finished(worker), std::logic_error);
  EXPECT_THROW(scheduler.got_gil(worker, at(0s), 0ns), std::logic_error);
  scheduler.parked(worker);
  EXPECT_THROW(scheduler.started(worker, at(0s)), std::logic_error);
}

// ---------------------------------------------------------------------------- simulation

// One request: `cpu` with the GIL, then `sleep` without it, then it is done.
struct Job {
  Duration cpu;
  Duration sleep;
};

// Closed-loop clients, workers and one GIL. The GIL goes to who asked first when it is free, and
// by force to a waiter after the switch interval, as CPython does it.
class Simulation {
 public:
  Simulation(int workers, int clients, std::function<Job()> draw)
      : scheduler_(rules_), draw_(std::move(draw)), threads_(static_cast<std::size_t>(workers)) {
    park(scheduler_, workers);
    for (int i = 0; i < clients; ++i) submit();
  }

  void run(Duration time) {
    const Time end = now_ + time;
    while (now_ < end) step();
  }

  std::vector<Duration> latencies(bool slow) {
    auto& list = latencies_[slow];
    std::sort(list.begin(), list.end());
    return list;
  }
  std::size_t wakes = 0;

 private:
  enum class Phase { parked, wants_gil, has_gil, sleeps };
  struct Request {
    Job job;
    Time submitted;
  };
  struct Thread {
    Phase phase = Phase::parked;
    std::optional<Request> request;
    Time asked_at;   // with wants_gil
    Time sleeps_to;  // with sleeps
  };
  static constexpr Duration tick = 20us;

  void submit() {
    queue_.push({draw_(), now_});
    wake();
  }

  void wake() {
    if (const auto worker = scheduler_.wake(now_, queue_.size())) {
      ++wakes;
      ask(*worker);
    }
  }

  void ask(Worker worker) {
    threads_[worker].phase = Phase::wants_gil;
    threads_[worker].asked_at = now_;
    waiting_.push_back(worker);
  }

  void give_gil() {
    if (waiting_.empty()) return;
    holder_ = waiting_.front();
    waiting_.erase(waiting_.begin());
    Thread& thread = threads_[*holder_];
    thread.phase = Phase::has_gil;
    if (!thread.request) {
      scheduler_.got_gil(*holder_, now_, now_ - thread.asked_at);
      next(*holder_);
    }
  }

  void next(Worker worker) {
    Thread& thread = threads_[worker];
    if (queue_.empty() || !scheduler_.may_take(worker, now_)) {
      scheduler_.parked(worker);
      thread.phase = Phase::parked;
      holder_.reset();
      return wake();
    }
    thread.request = queue_.front();
    queue_.pop();
    scheduler_.started(worker, now_);
    if (scheduler_.application_blocks()) wake();
  }

  void step() {
    now_ += tick;
    for (Worker worker = 0; worker < threads_.size(); ++worker) {
      if (threads_[worker].phase == Phase::sleeps && now_ >= threads_[worker].sleeps_to)
        ask(worker);
    }
    // By force: the waiter that has waited for the switch interval.
    if (holder_ && !waiting_.empty() &&
        now_ - std::max(threads_[waiting_.front()].asked_at, switched_at_) >=
            rules_.switch_interval) {
      const Worker before = *holder_;
      give_gil();
      ask(before);
      switched_at_ = now_;
    }
    if (!holder_) give_gil();
    if (holder_) work();
    wake();  // the tick
  }

  void work() {
    Thread& thread = threads_[*holder_];
    Job& job = thread.request->job;
    job.cpu -= tick;
    if (job.cpu > 0ns) return;
    const Worker worker = *holder_;
    if (job.sleep > 0ns) {
      thread.phase = Phase::sleeps;
      thread.sleeps_to = now_ + std::exchange(job.sleep, 0ns);
      slow_.insert(worker);
      holder_.reset();
      return;
    }
    latencies_[slow_.erase(worker) != 0].push_back(now_ - thread.request->submitted);
    thread.request.reset();
    scheduler_.finished(worker);
    submit();
    next(worker);
  }

  Scheduler::Rules rules_;
  Scheduler scheduler_;
  std::function<Job()> draw_;
  std::vector<Thread> threads_;
  std::queue<Request> queue_;
  std::vector<Worker> waiting_;
  std::optional<Worker> holder_;
  std::set<Worker> slow_;
  std::map<bool, std::vector<Duration>> latencies_;
  Time now_ = at(0s);
  Time switched_at_ = now_;
};

Duration quantile(const std::vector<Duration>& sorted, double q) {
  return sorted[static_cast<std::size_t>(static_cast<double>(sorted.size() - 1) * q)];
}

TEST(SchedulerSimulation, FastRequestsAreServedByOneWorkerInTurn) {
  Simulation load(64, 64, [] { return Job{100us, 0ns}; });
  load.run(2s);
  const auto latencies = load.latencies(false);
  EXPECT_GT(latencies.size(), 19'000U);
  EXPECT_LT(load.wakes, 20U);
  EXPECT_LT(quantile(latencies, 0.99), 7ms) << "64 requests of 100 µs in turn take 6.4 ms";
}

TEST(SchedulerSimulation, BlockingRequestsUseThePool) {
  Simulation load(64, 64, [] { return Job{40us, 10ms}; });
  load.run(2s);
  EXPECT_GT(load.latencies(true).size(), 0.9 * 2 * 6'400);
}

TEST(SchedulerSimulation, FastRequestsDoNotWaitForTheOnesThatSleep) {
  std::mt19937 random(3333);
  Simulation load(16, 16, [&] { return random() % 10 == 0 ? Job{40us, 50ms} : Job{100us, 0ns}; });
  load.run(5s);
  EXPECT_LT(quantile(load.latencies(false), 0.99), 5ms);
}

TEST(SchedulerSimulation, LongComputationsAreSharedByTwoWorkersAndNotByThePool) {
  Simulation load(64, 64, [] { return Job{3ms, 0ns}; });
  load.run(10s);
  const auto latencies = load.latencies(false);
  EXPECT_GT(latencies.size(), 3'200U);
  EXPECT_LT(quantile(latencies, 0.99), 300ms) << "64 requests of 3 ms in turn take 192 ms";
}

TEST(SchedulerSimulation, AFastRequestBesideALongComputationGetsItsTurn) {
  std::mt19937 random(3333);
  Simulation load(8, 8, [&] { return random() % 200 == 0 ? Job{200ms, 0ns} : Job{100us, 0ns}; });
  load.run(10s);
  EXPECT_LT(quantile(load.latencies(false), 0.5), 10ms);
}

}  // namespace
}  // namespace prowingen
