// Requests that wait for a worker for longer than they may are answered without one.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/work_queue.h"
#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;

NoTransport no_transport;

std::shared_ptr<Exchange> request(const char* method = "GET") {
  auto exchange = std::make_shared<Exchange>(no_transport);
  exchange->request.set_request_line(method, "/", {1, 1});
  return exchange;
}

void submit(WorkQueue& queue, const std::shared_ptr<Exchange>& exchange) {
  ASSERT_EQ(queue.submit({&exchange, 1}), 1U);
}

struct Refused {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t count = 0;

  QueuePatience patience(std::chrono::milliseconds limit) {
    return {limit, [this](std::size_t more) {
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

struct Events final : ExchangeEvents {
  void run() override {}
  void abandon() override {}
};

class QueuePatienceTest : public testing::Test {
 protected:
  static Scheduler::Rules rules() {
    Scheduler::Rules made;
    made.fresh = 1h;  // no tick looks
    return made;
  }
  Refused refused_;
};

TEST_F(QueuePatienceTest, AnswersThoughNoWorkerEverLooks) {
  WorkQueue queue(
      {}, 10, [] {}, refused_.patience(20ms));
  const auto first = request();
  submit(queue, first);
  ASSERT_TRUE(refused_.wait(1));
  EXPECT_EQ(first->state(), ExchangeState::finished);
  EXPECT_EQ(first->response.status, 503);
  EXPECT_NE(first->response.wire().find("Retry-After: 1"), std::string_view::npos);
  Exchange::Output output;
  first->take_output(output);
  EXPECT_TRUE(output.head && output.finished);
  EXPECT_EQ(output.chunks.size(), 1U);
  EXPECT_EQ(queue.counters().requests_expired, 1U);
  EXPECT_EQ(queue.counters().queue_length, 0U);
  const auto second = request("HEAD");
  submit(queue, second);
  ASSERT_TRUE(refused_.wait(2));
  EXPECT_FALSE(second->response_body.allowed);
}

TEST_F(QueuePatienceTest, AWorkerIsNotGivenWhatIsTooOld) {
  WorkQueue queue(
      rules(), 10, [] {}, refused_.patience(1h));
  const auto old = request();
  const auto young = request();
  submit(queue, old);
  submit(queue, young);
  old->queued_at -= 2h;
  EXPECT_EQ(queue.next(queue.enrol()), young);
  EXPECT_EQ(old->response.status, 503);
  EXPECT_EQ(refused_.count, 1U);
}

TEST_F(QueuePatienceTest, EventsWaitForAsLongAsItTakes) {
  WorkQueue queue(
      rules(), 10, [] {}, refused_.patience(1h));
  const auto websocket = request();
  websocket->events = std::make_shared<Events>();
  websocket->queued_at = std::chrono::steady_clock::now() - 3h;
  queue.submit_again(websocket);
  const auto old = request();
  submit(queue, old);
  old->queued_at -= 2h;
  EXPECT_EQ(queue.next(queue.enrol()), websocket);
  EXPECT_EQ(old->response.status, 503) << "though an event was before it";
}

TEST_F(QueuePatienceTest, OneWhoseClientLeftIsNotCounted) {
  WorkQueue queue(
      rules(), 10, [] {}, refused_.patience(1h));
  const auto gone = request();
  submit(queue, gone);
  gone->queued_at -= 2h;
  gone->depart(Departure::client_closed);
  EXPECT_EQ(queue.next(queue.enrol()), nullptr);
  EXPECT_EQ(queue.counters().requests_expired, 0U);
  EXPECT_EQ(refused_.count, 0U);
}

TEST_F(QueuePatienceTest, WithoutALimitAllWait) {
  WorkQueue queue(rules(), 10, [] {});
  const auto old = request();
  submit(queue, old);
  old->queued_at -= 24h;
  EXPECT_EQ(queue.next(queue.enrol()), old);
}

}  // namespace
}  // namespace prowingen
