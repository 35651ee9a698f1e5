// Requests of one lane take only so many workers, and hold up nobody else.
#include "core/bulkheads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "core/work_queue.h"
#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;

NoTransport no_transport;

std::shared_ptr<Exchange> request(const char* target) {
  auto exchange = std::make_shared<Exchange>(no_transport);
  exchange->request.set_request_line("GET", target, {1, 1});
  return exchange;
}

/// "/slow" in lane 1, of which one may run, "/other" in lane 2, of which two may.
BulkheadRules lanes() {
  return {[](const Exchange& exchange) -> std::size_t {
            const auto target = exchange.request.target();
            return target == "/slow" ? 1 : target == "/other" ? 2 : 0;
          },
          {1, 2}};
}

class BulkheadsTest : public testing::Test {
 protected:
  static Scheduler::Rules rules() {
    Scheduler::Rules made;
    made.fresh = 1h;       // no tick looks
    made.has_gil = false;  // whoever asks is given something
    made.cores = 8;
    return made;
  }
  std::shared_ptr<Exchange> submit(const char* target) {
    auto exchange = request(target);
    EXPECT_EQ(queue_.submit({&exchange, 1}), 1U);
    return exchange;
  }

  std::size_t expired_ = 0;
  WorkQueue queue_{rules(), 6,      [] {}, {1h, [this](std::size_t count) { expired_ += count; }},
                   {},      lanes()};
  WorkQueue::Worker one_ = queue_.enrol();
  WorkQueue::Worker two_ = queue_.enrol();
};

TEST_F(BulkheadsTest, FurtherOnesWaitAndHoldUpNobody) {
  const auto first = submit("/slow");
  const auto second = submit("/slow");
  const auto other = submit("/");
  EXPECT_EQ(queue_.next(one_), first);
  EXPECT_EQ(queue_.next(two_), other) << "which came later";
  EXPECT_EQ(queue_.next(two_), nullptr);
  EXPECT_EQ(queue_.counters().queue_length, 1U);
  EXPECT_EQ(queue_.counters().requests_held, 1U);
  EXPECT_EQ(queue_.next(one_), second) << "the worker is done with the first";
  EXPECT_EQ(queue_.next(one_), nullptr);
  const auto third = submit("/slow");
  EXPECT_EQ(queue_.next(one_), third) << "all are over";
}

TEST_F(BulkheadsTest, TheWorkersEndCountsAndNotTheClients) {
  const auto first = submit("/slow");
  const auto second = submit("/slow");
  EXPECT_EQ(queue_.next(one_), first);
  first->depart(Departure::client_closed);
  EXPECT_EQ(queue_.next(two_), nullptr);
  EXPECT_EQ(queue_.next(one_), second);
}

TEST_F(BulkheadsTest, OneThatIsLetOnHasThePlaceOfItsAge) {
  const auto first = submit("/slow");
  EXPECT_EQ(queue_.next(one_), first);
  const auto before = submit("/");
  const auto second = submit("/slow");
  const auto behind = submit("/");
  EXPECT_EQ(queue_.next(one_), before);
  EXPECT_EQ(queue_.next(one_), second);
  EXPECT_EQ(queue_.next(one_), behind);
}

TEST_F(BulkheadsTest, LanesDoNotKnowEachOther) {
  const auto slow = submit("/slow");
  const auto a = submit("/other");
  const auto held = submit("/slow");
  const auto b = submit("/other");
  const auto c = submit("/other");
  EXPECT_EQ(queue_.next(one_), slow);
  EXPECT_EQ(queue_.next(two_), a);
  const auto three = queue_.enrol();
  EXPECT_EQ(queue_.next(three), b);
  EXPECT_EQ(queue_.next(queue_.enrol()), nullptr);
  EXPECT_EQ(queue_.next(three), c);
  EXPECT_EQ(queue_.next(one_), held);
}

TEST_F(BulkheadsTest, ThoseThatWaitForTheirLaneCountForTheQueuesSize) {
  for (int i = 0; i < 6; ++i) submit("/slow");
  auto exchange = request("/");
  EXPECT_EQ(queue_.submit({&exchange, 1}), 0U);
  EXPECT_EQ(queue_.counters().requests_rejected, 1U);
}

TEST_F(BulkheadsTest, TheyWaitNoLongerThanOthers) {
  const auto first = submit("/slow");
  EXPECT_EQ(queue_.next(one_), first);
  const auto old = submit("/slow");
  const auto young = submit("/slow");
  old->queued_at -= 2h;
  EXPECT_EQ(queue_.next(two_), nullptr);
  EXPECT_EQ(old->response.status, 503);
  EXPECT_EQ(expired_, 1U);
  EXPECT_EQ(queue_.next(one_), young);
}

TEST_F(BulkheadsTest, OneThatWasLetOnAndWaitedInVainMakesRoom) {
  const auto old = submit("/slow");
  const auto young = submit("/slow");
  old->queued_at -= 2h;
  EXPECT_EQ(queue_.next(one_), young);
  EXPECT_EQ(old->response.status, 503);
  EXPECT_EQ(queue_.next(one_), nullptr);
  EXPECT_EQ(queue_.next(one_), nullptr);
  const auto next = submit("/slow");
  EXPECT_EQ(queue_.next(one_), next);
}

struct Events final : ExchangeEvents {
  void run() override {}
  void abandon() override {}
};

TEST_F(BulkheadsTest, EventsAreInNoLane) {
  const auto websocket = submit("/slow");
  EXPECT_EQ(queue_.next(one_), websocket);
  EXPECT_EQ(queue_.next(one_), nullptr);
  const auto events = std::make_shared<Events>();
  websocket->events = events;
  queue_.submit_again(websocket);
  EXPECT_EQ(queue_.next(one_), websocket);
  const auto slow = submit("/slow");
  EXPECT_EQ(queue_.next(two_), slow) << "while an event runs";
  EXPECT_EQ(queue_.next(one_), nullptr);
  const auto held = submit("/slow");
  EXPECT_EQ(queue_.next(one_), nullptr) << "the event's end is none of the lane's";
  EXPECT_EQ(queue_.next(two_), held);
}

TEST_F(BulkheadsTest, AStopDropsThem) {
  const auto first = submit("/slow");
  const auto second = submit("/slow");
  queue_.stop();
  EXPECT_EQ(first->state(), ExchangeState::departed);
  EXPECT_EQ(second->state(), ExchangeState::departed);
}

// A parked worker is woken for what the end of another's request lets on.
TEST(Bulkheads, WhatIsLetOnByOneThatReturnsIsTakenByAnother) {
  Scheduler::Rules rules;
  rules.most_away = 4;
  rules.workers = 1;
  WorkQueue queue(
      rules, 10, [] {}, {}, {}, lanes());
  const auto away = queue.enrol();
  auto first = request("/slow");
  ASSERT_EQ(queue.submit({&first, 1}), 1U);
  ASSERT_EQ(queue.next(away), first);
  WorkQueue::Worker other{};
  ASSERT_TRUE(queue.leave(away, [&] {
    other = queue.enrol();
    return true;
  }));
  EXPECT_EQ(queue.next(other), nullptr);
  auto second = request("/slow");
  ASSERT_EQ(queue.submit({&second, 1}), 1U);
  EXPECT_EQ(queue.next(other), nullptr) << "it is held";
  auto taken = std::async(std::launch::async, [&]() -> std::shared_ptr<Exchange> {
    for (;;) {
      if (!queue.park(other)) return nullptr;
      queue.got_gil(other, 0ns, 5ms);
      if (auto exchange = queue.next(other)) return exchange;
    }
  });
  EXPECT_EQ(queue.next(away), nullptr) << "it is spare now";
  EXPECT_EQ(taken.wait_for(20s), std::future_status::ready);
  queue.stop();
  EXPECT_EQ(taken.get(), second);
}

}  // namespace
}  // namespace prowingen
