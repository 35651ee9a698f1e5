// What workers are in: kept by their queue, and written for others while somebody watches.
#include "metrics/sample.h"

#include <gtest/gtest.h>

#include <memory>

#include "no_transport.h"

namespace prowingen::metrics {
namespace {

using namespace std::chrono_literals;

NoTransport no_transport;

Scheduler::Rules rules() {
  Scheduler::Rules made;
  made.fresh = 1h;  // no tick looks
  made.workers = 4;
  made.most_away = 4;
  made.has_gil = false;  // each takes what there is
  made.cores = 8;
  return made;
}

class Sample : public testing::Test {
 protected:
  Sample() { queue_.keep_busy(); }
  WorkQueue::Worker take(const char* target, WorkQueue& queue) {
    auto exchange = std::make_shared<Exchange>(no_transport);
    exchange->request.set_request_line("GET", target, {1, 1});
    auto peer = std::make_shared<ConnectionInfo>();
    peer->remote_address = "192.0.2.1";
    exchange->peer = std::move(peer);
    EXPECT_EQ(queue.submit({&exchange, 1}), 1U);
    const auto worker = queue.enrol(next_thread_++);
    EXPECT_EQ(queue.next(worker), exchange);
    EXPECT_TRUE(exchange->take());
    return worker;
  }
  std::vector<Activity::Row> sampled() {
    const auto now = std::chrono::steady_clock::now();
    sample(activity_, queue_, now);
    return activity_.rows(0, now);
  }

  std::uint64_t next_thread_ = 7;
  WorkQueue queue_{
      rules(), 10, [] {}, {}, {}, {}, RunPatience{TimeLimits(1h, {{"/ever", 0ns}}), 0ns, 10}};
  Activity activity_{1};
};

TEST_F(Sample, NothingIsWrittenWhileNobodyWatches) {
  take("/", queue_);
  EXPECT_TRUE(sampled().empty());
  activity_.watch(std::chrono::steady_clock::now());
  EXPECT_EQ(sampled().size(), 1U);
}

TEST_F(Sample, AllThatWorkersAreInIsTold) {
  activity_.watch(std::chrono::steady_clock::now());
  const auto first = take("/a?b", queue_);
  const auto waits = take("/ever", queue_);
  const auto leaves = take("/long", queue_);
  queue_.wait_begins(waits);
  EXPECT_TRUE(queue_.leave(leaves, [] { return true; }));
  const auto rows = sampled();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].request, "GET /a?b HTTP/1.1");
  EXPECT_EQ(rows[0].client, "192.0.2.1");
  EXPECT_EQ(rows[0].thread, 7U);
  EXPECT_EQ(rows[0].state, WorkerState::running);
  EXPECT_EQ(rows[0].deadline, rows[0].since + 1h);
  EXPECT_EQ(rows[1].state, WorkerState::waiting_for_client);
  EXPECT_EQ(rows[1].deadline, std::nullopt);
  EXPECT_EQ(rows[2].state, WorkerState::long_lived);
  EXPECT_EQ(queue_.next(first), nullptr);
  EXPECT_EQ(sampled().size(), 2U) << "that one is over";
}

TEST_F(Sample, OneThatWasAnsweredInItsPlaceIsToldOfStill) {
  activity_.watch(std::chrono::steady_clock::now());
  const auto worker = take("/", queue_);
  ASSERT_EQ(queue_.take_overdue(std::chrono::steady_clock::now() + 2h).size(), 1U);
  EXPECT_TRUE(queue_.take_overdue(std::chrono::steady_clock::now() + 3h).empty());
  const auto rows = sampled();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].state, WorkerState::stuck);
  EXPECT_EQ(rows[0].deadline, std::nullopt) << "it is over";
  queue_.next(worker);
  EXPECT_TRUE(sampled().empty());
}

TEST_F(Sample, AQueueThatNobodyLooksAtKeepsNothing) {
  WorkQueue other(rules(), 10, [] {});
  take("/", other);
  EXPECT_TRUE(rows_of(other).empty());
}

}  // namespace
}  // namespace prowingen::metrics
