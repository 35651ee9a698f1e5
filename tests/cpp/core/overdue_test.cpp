// Requests that are with a worker for longer than they may: who is overdue, what their workers are
// to the pool, and that their clients are answered whoever is stuck.
#include "core/overdue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "http/refusal.h"
#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

NoTransport no_transport;

std::shared_ptr<Exchange> request(const char* target = "/") {
  auto exchange = std::make_shared<Exchange>(no_transport);
  exchange->request.set_request_line("GET", target, {1, 1});
  exchange->peer = std::make_shared<ConnectionInfo>();
  return exchange;
}

void submit(WorkQueue& queue, const std::shared_ptr<Exchange>& exchange) {
  ASSERT_EQ(queue.submit({&exchange, 1}), 1U);
}

Scheduler::Rules rules(std::size_t workers = 1) {
  Scheduler::Rules made;
  made.fresh = 1h;  // no tick looks
  made.workers = workers;
  made.most_away = 4;
  made.has_gil = false;  // each takes what there is
  made.cores = 8;
  return made;
}

RunPatience patience(std::chrono::nanoseconds limit, std::chrono::nanoseconds warned_before = 0ns,
                     std::size_t most_stuck = 10) {
  return {TimeLimits(limit, {{"/slow", 2 * limit}, {"/ever", 0ns}}), warned_before, most_stuck};
}

// A worker of the queue that is in a request.
struct Busy {
  std::shared_ptr<Exchange> exchange;
  WorkQueue::Worker worker;

  explicit Busy(WorkQueue& queue, const char* target = "/")
      : exchange(request(target)), worker(queue.enrol(7)) {
    submit(queue, exchange);
    EXPECT_EQ(queue.next(worker), exchange);
    EXPECT_TRUE(exchange->take());
  }
};

TEST(TimeLimits, TheLongestPrefixInWholeSegmentsCounts) {
  const TimeLimits limits(1s, {{"/a", 2s}, {"/a/b", 3s}, {"/never", 0s}});
  EXPECT_EQ(limits.of_path("/"), 1s);
  EXPECT_EQ(limits.of_path("/a"), 2s);
  EXPECT_EQ(limits.of_path("/ab"), 1s);
  EXPECT_EQ(limits.of_path("/a/b"), 3s);
  EXPECT_EQ(limits.of_path("/a/b/c"), 3s);
  EXPECT_EQ(limits.of_path("/a/bc"), 2s);
  EXPECT_EQ(limits.of_path("/never/x"), 0s);
  EXPECT_EQ(limits.shortest(), 1s);
  EXPECT_EQ(TimeLimits().shortest(), 0s);
  EXPECT_EQ(TimeLimits(0s, {{"", 5s}}).of_path("/x"), 5s);
  EXPECT_EQ(limits.of(*request("/%61/b?/never")), 3s) << "decoded, and without the query";
}

TEST(Overdue, OneIsTakenOnceAndItsWorkerIsNotOfThePoolAnyMore) {
  WorkQueue queue(
      rules(), 10, [] {}, {}, {}, {}, patience(1s));
  const Busy busy(queue);
  const auto taken_at = busy.exchange->taken_at;
  EXPECT_EQ(busy.exchange->deadline, taken_at + 1s);
  EXPECT_EQ(queue.next_overdue(), taken_at + 1s);
  EXPECT_TRUE(queue.take_overdue(taken_at + 999ms).empty());
  const auto overdue = queue.take_overdue(taken_at + 1s);
  ASSERT_EQ(overdue.size(), 1U);
  EXPECT_EQ(overdue[0].exchange, busy.exchange);
  EXPECT_EQ(overdue[0].thread, 7U);
  EXPECT_EQ(overdue[0].limit, 1s);
  EXPECT_TRUE(overdue[0].wants_thread) << "the pool had but one, and no spare one";
  EXPECT_TRUE(queue.is_in(overdue[0].worker, overdue[0].turn));
  EXPECT_TRUE(queue.take_overdue(taken_at + 1h).empty());
  EXPECT_EQ(queue.next_overdue(), Scheduler::Time::max());
  EXPECT_EQ(queue.counters().workers_stuck, 1U);
  EXPECT_EQ(queue.counters().requests_overdue, 1U);
  EXPECT_EQ(queue.counters().workers_running, 0U);

  // Another thread serves in its place, and it is one too many when it comes back.
  const auto other = queue.enrol();
  const auto next = request();
  submit(queue, next);
  EXPECT_EQ(queue.next(other), next);
  EXPECT_EQ(queue.next(busy.worker), nullptr) << "a spare one takes nothing";
  EXPECT_FALSE(queue.is_in(overdue[0].worker, overdue[0].turn));
  EXPECT_EQ(queue.counters().workers_stuck, 0U);
}

TEST(Overdue, WhoComesBackToAPoolThatIsShortOfOneServesOn) {
  WorkQueue queue(
      rules(), 10, [] {}, {}, {}, {}, patience(1s, 0s, 0));
  const Busy busy(queue);
  const auto overdue = queue.take_overdue(steady_clock::now() + 1h);
  ASSERT_EQ(overdue.size(), 1U);
  EXPECT_FALSE(overdue[0].wants_thread) << "more are stuck than may be";
  EXPECT_EQ(overdue[0].stuck, 1U);
  const auto next = request();
  submit(queue, next);
  EXPECT_EQ(queue.next(busy.worker), next);
}

TEST(Overdue, AThreadThatCannotBeBegunIsNotCountedOn) {
  WorkQueue queue(
      rules(), 10, [] {}, {}, {}, {}, patience(1s));
  const Busy busy(queue);
  ASSERT_EQ(queue.take_overdue(steady_clock::now() + 1h).size(), 1U);
  queue.will_not_come();
  const auto next = request();
  submit(queue, next);
  EXPECT_EQ(queue.next(busy.worker), next);
}

TEST(Overdue, WorkersAreWarnedBefore) {
  WorkQueue queue(
      rules(), 10, [] {}, {}, {}, {}, patience(10s, 2s));
  const Busy busy(queue);
  const auto taken_at = busy.exchange->taken_at;
  EXPECT_EQ(queue.next_overdue(), taken_at + 8s);
  auto warned = queue.take_overdue(taken_at + 8s);
  ASSERT_EQ(warned.size(), 1U);
  EXPECT_TRUE(warned[0].warned_only);
  EXPECT_EQ(queue.counters().workers_stuck, 0U);
  EXPECT_EQ(queue.next_overdue(), taken_at + 10s);
  EXPECT_TRUE(queue.take_overdue(taken_at + 9s).empty());
  const auto overdue = queue.take_overdue(taken_at + 10s);
  ASSERT_EQ(overdue.size(), 1U);
  EXPECT_FALSE(overdue[0].warned_only);
}

TEST(Overdue, WhatHasNoLimitOrLivesLongIsNot) {
  WorkQueue queue(
      rules(3), 10, [] {}, {}, {}, {}, patience(1s));
  const Busy ever(queue, "/ever/x");
  EXPECT_EQ(ever.exchange->deadline, SteadyTime());
  const Busy streams(queue);
  ASSERT_TRUE(queue.leave(streams.worker, [&] {
    queue.enrol();
    return true;
  }));
  const Busy switched(queue);
  switched.exchange->response.status = 101;
  switched.exchange->response_body.opaque = true;
  switched.exchange->push(Chunk(), 1000, false);
  EXPECT_TRUE(queue.take_overdue(steady_clock::now() + 1h).empty());
  EXPECT_EQ(queue.next_overdue(), Scheduler::Time::max()) << "nobody asks again";
}

TEST(Overdue, ARequestThatEndedInTimeIsNobodys) {
  WorkQueue queue(
      rules(), 10, [] {}, {}, {}, {}, patience(1s));
  Busy busy(queue);
  EXPECT_EQ(queue.next(busy.worker), nullptr);
  EXPECT_EQ(busy.exchange.use_count(), 1) << "nothing of it is kept";
  EXPECT_TRUE(queue.take_overdue(steady_clock::now() + 1h).empty());
}

TEST(Overdue, TheWatchAnswersInTimeThoughNobodyElseLooks) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<OverdueWatch::Event> events;
  WorkQueue queue(
      rules(2), 10, [] {}, {}, {}, {}, patience(30ms));
  OverdueWatch watch(queue, 30ms, [&](OverdueWatch::Event event) {
    const std::lock_guard lock(mutex);
    events.push_back(std::move(event));
    changed.notify_all();
  });
  const Busy first(queue, "/slow");
  const Busy second(queue);
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return events.size() == 2; }));
    EXPECT_EQ(events[0].request.exchange, second.exchange);
    EXPECT_EQ(events[1].request.exchange, first.exchange);
    EXPECT_EQ(events[0].done, Exchange::Overruling::answered);
  }
  EXPECT_GE(second.exchange->finished_at - second.exchange->taken_at, 30ms);
  EXPECT_GE(first.exchange->finished_at - first.exchange->taken_at, 60ms);
  watch.stop();
  const Busy third(queue);
  EXPECT_EQ(third.exchange->state(), ExchangeState::running);
}

// ---- what becomes of the exchange

constexpr std::size_t high_water = 1000;

std::shared_ptr<Exchange> running() {
  auto exchange = request();
  exchange->submit();
  EXPECT_TRUE(exchange->take());
  return exchange;
}

Exchange::Overruling overrule(Exchange& exchange) {
  ResponseHead head;
  head.status = 504;
  return exchange.overrule(std::move(head), "late");
}

TEST(Overrule, AnswersInPlaceOfAWorkerThatHasNot) {
  const auto exchange = running();
  exchange->response.status = 200;
  EXPECT_EQ(overrule(*exchange), Exchange::Overruling::answered);
  Exchange::Output output;
  exchange->take_output(output);
  EXPECT_TRUE(output.head && output.finished && !output.aborted);
  ASSERT_EQ(output.chunks.size(), 1U);
  EXPECT_EQ(output.chunks[0].bytes(), "late");
  EXPECT_EQ(exchange->sent_head().status, 504);
  EXPECT_EQ(exchange->sent_body().length, 4U);
  EXPECT_EQ(exchange->departure(), Departure::overruled);
  // The worker hears of it by whatever it does.
  std::string buffer;
  EXPECT_EQ(exchange->read_body(buffer), Exchange::Read::departed);
  EXPECT_TRUE(exchange->cut());
  EXPECT_EQ(exchange->push(Chunk(std::string("mine")), high_water, true), Exchange::Push::departed);
  EXPECT_EQ(exchange->inform(ResponseHead(), high_water), Exchange::Push::departed);
  EXPECT_EQ(exchange->wait_writable(), Exchange::Push::departed);
  exchange->abort();
  exchange->written();
  EXPECT_EQ(exchange->state(), ExchangeState::completed);
  EXPECT_EQ(overrule(*exchange), Exchange::Overruling::none);
}

TEST(Overrule, WakesAWorkerThatWaitsForItsClient) {
  const auto exchange = running();
  std::string buffer;
  std::thread other([&] { overrule(*exchange); });
  EXPECT_EQ(exchange->read_body(buffer), Exchange::Read::departed);
  other.join();
}

TEST(Overrule, BreaksOffAnAnswerThatHasBegun) {
  const auto exchange = running();
  exchange->response.status = 200;
  exchange->push(Chunk(std::string("begun")), high_water, false);
  EXPECT_EQ(overrule(*exchange), Exchange::Overruling::cut);
  Exchange::Output output;
  exchange->take_output(output);
  EXPECT_TRUE(output.aborted);
  EXPECT_EQ(exchange->sent_head().status, 200);
  EXPECT_EQ(exchange->push(Chunk(), high_water, true), Exchange::Push::departed);
  EXPECT_EQ(exchange->departure(), Departure::overruled);
}

TEST(Overrule, LeavesWhatIsWholeOrAnotherProtocolAlone) {
  const auto whole = running();
  whole->push(Chunk(std::string("all")), high_water, true);
  EXPECT_EQ(overrule(*whole), Exchange::Overruling::none);
  EXPECT_EQ(whole->state(), ExchangeState::finished);

  const auto switched = running();
  switched->response.status = 101;
  switched->response_body.opaque = true;
  EXPECT_FALSE(switched->switched());
  switched->push(Chunk(), high_water, false);
  EXPECT_TRUE(switched->switched());
  EXPECT_EQ(overrule(*switched), Exchange::Overruling::none);
  EXPECT_EQ(switched->push(Chunk(std::string("more")), high_water, false), Exchange::Push::ok);
}

TEST(Overrule, ARequestThatLeftIsAnsweredNothing) {
  const auto exchange = running();
  exchange->depart(Departure::client_closed);
  EXPECT_EQ(overrule(*exchange), Exchange::Overruling::none);
  EXPECT_EQ(exchange->departure(), Departure::client_closed);
}

}  // namespace
}  // namespace prowingen
