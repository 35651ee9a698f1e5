// A queue that does not get empty lets nobody wait for longer than its target.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "core/work_queue.h"
#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;

NoTransport no_transport;

struct Shed {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t count = 0;

  QueueTarget target(std::chrono::milliseconds target, std::chrono::milliseconds interval) {
    return {target, interval, [this](std::size_t more) {
              const std::lock_guard lock(mutex);
              count += more;
              changed.notify_all();
            }};
  }
  bool wait(std::size_t wanted) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 20s, [&] { return count >= wanted; });
  }
};

class QueueTargetTest : public testing::Test {
 protected:
  static Scheduler::Rules rules() {
    Scheduler::Rules made;
    made.fresh = 1h;  // no tick looks
    return made;
  }
  static std::shared_ptr<Exchange> submit(WorkQueue& queue) {
    auto exchange = std::make_shared<Exchange>(no_transport);
    exchange->request.set_request_line("GET", "/", {1, 1});
    EXPECT_EQ(queue.submit({&exchange, 1}), 1U);
    return exchange;
  }
  /// Long enough for the other one to be over.
  static void outlast(std::chrono::milliseconds time) { std::this_thread::sleep_for(time + 5ms); }

  Shed shed_;
};

TEST_F(QueueTargetTest, AStandingQueueIsCutToTheTarget) {
  WorkQueue queue(
      {}, 10, [] {}, {}, shed_.target(1ms, 40ms));
  const auto worker = queue.enrol();
  const auto first = submit(queue);
  const auto second = submit(queue);
  outlast(40ms);
  EXPECT_TRUE(shed_.wait(2)) << "though no worker looks";
  EXPECT_EQ(first->response.status, 503);
  EXPECT_EQ(second->response.status, 503);
  EXPECT_EQ(queue.counters().requests_shed, 2U);
  EXPECT_EQ(queue.counters().requests_expired, 0U);
  const auto third = submit(queue);
  EXPECT_EQ(queue.next(worker), third) << "it was empty meanwhile";
}

TEST_F(QueueTargetTest, ABurstIsServedWhole) {
  WorkQueue queue(
      rules(), 10, [] {}, {}, shed_.target(1ms, 1h));
  const auto worker = queue.enrol();
  const auto first = submit(queue);
  const auto second = submit(queue);
  outlast(10ms);
  EXPECT_EQ(queue.next(worker), first);
  EXPECT_EQ(queue.next(worker), second);
  EXPECT_EQ(queue.counters().requests_shed, 0U);
}

TEST_F(QueueTargetTest, WhatHasNotWaitedForTheTargetIsServedFromAStandingQueue) {
  WorkQueue queue(
      rules(), 10, [] {}, {}, shed_.target(1h, 1ms));
  const auto worker = queue.enrol();
  const auto first = submit(queue);
  outlast(1ms);
  EXPECT_EQ(queue.next(worker), first);
}

TEST_F(QueueTargetTest, QueueTimeoutIsCountedAsItself) {
  Shed expired;
  WorkQueue queue(
      rules(), 10, [] {},
      {1h,
       [&](std::size_t more) {
         const std::lock_guard lock(expired.mutex);
         expired.count += more;
       }},
      shed_.target(2h, 3h));
  const auto worker = queue.enrol();
  submit(queue)->queued_at -= 90min;
  const auto second = submit(queue);
  EXPECT_EQ(queue.next(worker), second);
  EXPECT_EQ(expired.count, 1U);
  EXPECT_EQ(shed_.count, 0U);
}

}  // namespace
}  // namespace prowingen
