// The queue between I/O threads and workers: order, capacity, counters, stopping, the tick.
// Many threads at once are in work_queue_stress_test.cpp.
#include "core/work_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

NoTransport no_transport;

std::vector<std::shared_ptr<Exchange>> make_exchanges(std::size_t count) {
  std::vector<std::shared_ptr<Exchange>> exchanges;
  exchanges.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    exchanges.push_back(std::make_shared<Exchange>(no_transport));
  }
  return exchanges;
}

// With these no tick helps a request that was forgotten, and none takes it for one that blocks.
Scheduler::Rules without_ticks() {
  Scheduler::Rules rules;
  rules.fresh = 1h;
  return rules;
}

void nothing() {}

// ---- one thread

TEST(WorkQueue, GivesRequestsInTheOrderTheyCame) {
  WorkQueue queue(without_ticks(), 10, nothing);
  const auto exchanges = make_exchanges(3);
  EXPECT_EQ(queue.submit({exchanges.data(), 2}), 2U);
  EXPECT_EQ(queue.submit({exchanges.data() + 2, 1}), 1U);
  const auto worker = queue.enrol();
  EXPECT_TRUE(queue.more_queued());
  for (const auto& exchange : exchanges) {
    EXPECT_EQ(exchange->state(), ExchangeState::queued);
    EXPECT_EQ(queue.next(worker), exchange);
    EXPECT_LE(exchange->queued_at, exchange->taken_at);
  }
  EXPECT_FALSE(queue.more_queued());
  EXPECT_EQ(queue.next(worker), nullptr);
}

struct NoEvents final : ExchangeEvents {
  void run() override {}
  void abandon() override {}
};

TEST(WorkQueue, HasEventsUntilTheLastOneHasBeenRun) {
  WorkQueue queue(without_ticks(), 10, nothing);
  const auto exchanges = make_exchanges(2);
  exchanges[0]->events = std::make_shared<NoEvents>();
  const auto worker = queue.enrol();
  EXPECT_FALSE(queue.has_events());
  queue.submit_again(exchanges[0]);
  queue.submit({exchanges.data() + 1, 1});
  EXPECT_TRUE(queue.has_events()) << "it waits";
  EXPECT_EQ(queue.next(worker), exchanges[0]);
  EXPECT_TRUE(queue.has_events()) << "it is being run";
  EXPECT_EQ(queue.next(worker), exchanges[1]);
  EXPECT_FALSE(queue.has_events()) << "a request is none";
}

TEST(WorkQueue, TakesWhatFitsAndLeavesTheRestToTheCaller) {
  WorkQueue queue(without_ticks(), 3, nothing);
  const auto exchanges = make_exchanges(5);
  EXPECT_EQ(queue.submit(exchanges), 3U);
  EXPECT_EQ(exchanges[2]->state(), ExchangeState::queued);
  EXPECT_EQ(exchanges[3]->state(), ExchangeState::receiving) << "to be answered by the engine";
  EXPECT_EQ(queue.submit({exchanges.data() + 3, 1}), 0U);
  ASSERT_NE(queue.next(queue.enrol()), nullptr);
  EXPECT_EQ(queue.submit({exchanges.data() + 3, 2}), 1U) << "one has left";

  const auto counters = queue.counters();
  EXPECT_EQ(counters.requests_queued, 4U);
  EXPECT_EQ(counters.requests_rejected, 4U);
  EXPECT_EQ(counters.queue_length, 3U);
  EXPECT_EQ(counters.workers_running, 1U);
}

TEST(WorkQueue, EmptySubmissionIsNone) {
  WorkQueue queue(without_ticks(), 3, nothing);
  EXPECT_EQ(queue.submit({}), 0U);
  EXPECT_EQ(queue.counters().requests_queued, 0U);
}

TEST(WorkQueue, NextEndsTheRequestBeforeIt) {
  WorkQueue queue(without_ticks(), 3, nothing);
  const auto exchanges = make_exchanges(1);
  queue.submit(exchanges);
  const auto worker = queue.enrol();
  queue.next(worker);
  EXPECT_EQ(queue.counters().workers_running, 1U);
  queue.next(worker);
  EXPECT_EQ(queue.counters().workers_running, 0U);
}

TEST(WorkQueue, WorkerThatWaitsForAPeerDoesNotCountAsRunning) {
  WorkQueue queue(without_ticks(), 3, nothing);
  const auto exchanges = make_exchanges(1);
  queue.submit(exchanges);
  const auto worker = queue.enrol();
  queue.next(worker);
  queue.wait_begins(worker);
  EXPECT_EQ(queue.counters().workers_running, 0U);
  queue.wait_ends(worker);
  EXPECT_EQ(queue.counters().workers_running, 1U);
}

TEST(WorkQueue, BacklogGrowsWithTheQueueAndTheTimeRequestsTake) {
  WorkQueue queue(without_ticks(), 10, nothing);
  EXPECT_EQ(queue.backlog(), 0ns);
  queue.submit(make_exchanges(5));
  EXPECT_EQ(queue.backlog(), 0ns) << "nothing is known about their pace";
  const auto worker = queue.enrol();
  queue.next(worker);
  const auto end = steady_clock::now() + 2ms;
  while (steady_clock::now() < end) continue;
  queue.next(worker);
  // One sample of 2 ms weighs a sixteenth; three requests are left.
  EXPECT_GE(queue.backlog(), 3 * 2ms / 16 - 3ns);
}

// ---- stop

TEST(WorkQueue, StopDepartsWhatIsQueuedAndRefusesMore) {
  WorkQueue queue(without_ticks(), 10, nothing);
  const auto exchanges = make_exchanges(3);
  queue.submit({exchanges.data(), 2});
  queue.stop();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(exchanges[i]->state(), ExchangeState::departed);
    EXPECT_EQ(exchanges[i]->departure(), Departure::server_stopped);
  }
  EXPECT_EQ(queue.submit({exchanges.data() + 2, 1}), 0U);
  EXPECT_EQ(exchanges[2]->state(), ExchangeState::receiving);
  const auto worker = queue.enrol();
  EXPECT_EQ(queue.next(worker), nullptr);
  EXPECT_FALSE(queue.park(worker)) << "returns at once";
  queue.stop();  // once more changes nothing
}

TEST(WorkQueue, StopWakesEveryWorker) {
  WorkQueue queue(without_ticks(), 10, nothing);
  std::vector<std::future<bool>> parked;
  for (int i = 0; i < 8; ++i) {
    const auto worker = queue.enrol();
    parked.push_back(std::async(std::launch::async, [&, worker] { return queue.park(worker); }));
  }
  queue.stop();
  for (auto& go_on : parked) EXPECT_FALSE(go_on.get());
}

TEST(WorkQueue, WakesAParkedWorkerForARequest) {
  WorkQueue queue(without_ticks(), 10, nothing);
  const auto worker = queue.enrol();
  auto parked = std::async(std::launch::async, [&] { return queue.park(worker); });
  const auto exchanges = make_exchanges(1);
  // Whether it parks before or after the request comes makes no difference.
  queue.submit(exchanges);
  EXPECT_TRUE(parked.get());
  queue.got_gil(worker, 0ns, 5ms);
  EXPECT_EQ(queue.next(worker), exchanges[0]);
}

// Nobody is woken for it, since the worker that just found nothing is about to look again.
TEST(WorkQueue, RequestThatComesBeforeAWorkerParksKeepsItAwake) {
  WorkQueue queue(without_ticks(), 10, nothing);
  const auto worker = queue.enrol();
  EXPECT_EQ(queue.next(worker), nullptr);
  std::this_thread::sleep_for(10ms);  // else the tick's thread may only begin, and look once
  const auto exchanges = make_exchanges(1);
  queue.submit(exchanges);
  EXPECT_EQ(queue.counters().wakes, 0U);
  EXPECT_TRUE(queue.park(worker));
  queue.got_gil(worker, 0ns, 5ms);
  EXPECT_EQ(queue.next(worker), exchanges[0]);
}

// ---- the tick

// A running request that blocks: after `fresh` the tick wakes a worker for the one behind it.
TEST(WorkQueue, TickWakesAWorkerWhenARequestBlocks) {
  WorkQueue queue({}, 10, nothing);
  const auto blocked = queue.enrol();
  const auto idle = queue.enrol();
  auto parked = std::async(std::launch::async, [&] { return queue.park(idle); });
  queue.submit(make_exchanges(1));
  ASSERT_NE(queue.next(blocked), nullptr);
  queue.submit(make_exchanges(1));
  EXPECT_TRUE(parked.get());
}

// ---- requests that live long

TEST(WorkQueue, WhoLeavesIsReplacedAndComesBack) {
  auto rules = without_ticks();
  rules.workers = 1;
  rules.most_away = 1;
  WorkQueue queue(rules, 10, nothing);
  const auto exchanges = make_exchanges(3);
  queue.submit(exchanges);
  const auto first = queue.enrol();
  ASSERT_EQ(queue.next(first), exchanges[0]);
  EXPECT_FALSE(queue.leave(first, [] { return false; })) << "there is nobody for its place";
  EXPECT_TRUE(queue.lets_leave());
  WorkQueue::Worker second{};
  EXPECT_TRUE(queue.leave(first, [&] {
    second = queue.enrol();
    return true;
  }));
  EXPECT_TRUE(queue.leave(first, [] { return false; })) << "it has";
  EXPECT_EQ(queue.counters().workers_away, 1U);
  ASSERT_EQ(queue.next(second), exchanges[1]);
  EXPECT_FALSE(queue.leave(second, [] { return true; })) << "one more than may";
  queue.wait_begins(first);  // of which the pool is not told
  queue.wait_ends(first);
  EXPECT_EQ(queue.next(first), nullptr) << "the pool has its workers: it is spare";
  EXPECT_EQ(queue.counters().workers_away, 0U);
  EXPECT_TRUE(queue.leave(second, [] { return false; })) << "the spare one takes the place";
}

TEST(WorkQueue, WhoIsNotNeededAnyMoreEnds) {
  auto rules = without_ticks();
  rules.workers = 1;
  rules.most_away = 1;
  rules.most_spares = 0;
  WorkQueue queue(rules, 10, nothing);
  const auto exchanges = make_exchanges(1);
  queue.submit(exchanges);
  const auto first = queue.enrol();
  ASSERT_NE(queue.next(first), nullptr);
  WorkQueue::Worker second{};
  ASSERT_TRUE(queue.leave(first, [&] {
    second = queue.enrol();
    return true;
  }));
  EXPECT_EQ(queue.next(first), nullptr);
  EXPECT_FALSE(queue.park(first));
  EXPECT_EQ(queue.enrol(), first) << "its place is free";
}

// The spare one may be called back before it sleeps.
TEST(WorkQueue, ASpareOneThatIsCalledBackAtOnceSleepsAsOthersDo) {
  auto rules = without_ticks();
  rules.workers = 1;
  rules.most_away = 2;
  WorkQueue queue(rules, 10, nothing);
  const auto exchanges = make_exchanges(3);
  queue.submit({exchanges.data(), 2});
  const auto first = queue.enrol();
  ASSERT_NE(queue.next(first), nullptr);
  WorkQueue::Worker second{};
  ASSERT_TRUE(queue.leave(first, [&] {
    second = queue.enrol();
    return true;
  }));
  ASSERT_NE(queue.next(second), nullptr);
  ASSERT_EQ(queue.next(first), nullptr);  // spare
  ASSERT_TRUE(queue.leave(second, [] { return false; }));
  auto sleeper = std::async(std::launch::async, [&] { return queue.park(first); });
  queue.submit({exchanges.data() + 2, 1});
  EXPECT_TRUE(sleeper.get());
}

// ---- how long the workers have been stuck

TEST(WorkQueue, IsStalledWhileEveryWorkerIsInARequest) {
  WorkQueue queue(without_ticks(), 10, nothing);
  const auto exchanges = make_exchanges(2);
  const auto first = queue.enrol();
  const auto second = queue.enrol();
  EXPECT_EQ(queue.stalled_for(), 0ns) << "nothing to do";
  queue.submit({exchanges.data(), 1});
  ASSERT_NE(queue.next(first), nullptr);
  std::this_thread::sleep_for(2ms);
  EXPECT_EQ(queue.stalled_for(), 0ns) << "one of two could take a request";
  queue.submit({exchanges.data() + 1, 1});
  EXPECT_LT(queue.stalled_for(), 2ms) << "it counts from when the request came";
  std::this_thread::sleep_for(2ms);
  EXPECT_GE(queue.stalled_for(), 2ms) << "and nobody took it";
  queue.next(first);
  EXPECT_LT(queue.stalled_for(), 2ms);
  static_cast<void>(second);
}

TEST(WorkQueue, IsNotStalledWhileAWorkerWaitsForAClient) {
  WorkQueue queue(without_ticks(), 10, nothing);
  const auto exchanges = make_exchanges(2);
  const auto worker = queue.enrol();
  queue.submit(exchanges);
  ASSERT_NE(queue.next(worker), nullptr);
  queue.wait_begins(worker);
  std::this_thread::sleep_for(2ms);
  EXPECT_EQ(queue.stalled_for(), 0ns);
  queue.wait_ends(worker);
  EXPECT_LT(queue.stalled_for(), 2ms) << "its time begins anew";
  std::this_thread::sleep_for(2ms);
  EXPECT_GE(queue.stalled_for(), 2ms);
}

}  // namespace
}  // namespace prowingen
