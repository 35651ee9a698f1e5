#include "metrics/count_exchange.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/engine.h"
#include "no_transport.h"

namespace prowingen::metrics {
namespace {

using namespace std::chrono_literals;

class CountExchange : public testing::Test {
 protected:
  CountExchange() {
    exchange_->request.set_request_line("GET", "/", {1, 1});
    exchange_->received_at = now_;
    exchange_->queued_at = now_ + 1ms;
    exchange_->taken_at = now_ + 3ms;
    exchange_->finished_at = now_ + 7ms;
    exchange_->head_written = true;
    exchange_->route = Route::worker;
  }
  Tally::Sum count(int status = 200, bool complete = true) {
    count_exchange(tally_, *exchange_, status, complete, now_ + 10ms);
    return tally_.sum();
  }
  static std::uint64_t count_of(const cells::Histogram& histogram, const Tally::Sum& sum) {
    std::uint64_t count = 0;
    for (auto cell = histogram.first; cell < histogram.sum(); ++cell) count += sum[cell];
    return count;
  }

  NoTransport transport_;
  const SteadyTime now_ = std::chrono::steady_clock::now();
  Tally tally_;
  const std::shared_ptr<ServedExchange> exchange_ = std::make_shared<ServedExchange>(transport_);
};

TEST_F(CountExchange, ARequestOfAWorkersHasAllTimes) {
  const auto sum = count();
  EXPECT_EQ(sum[cells::request(0, 1, 2)], 1U);
  EXPECT_EQ(sum[cells::response(200)], 1U);
  EXPECT_EQ(sum[cells::refusal(200)], 0U);
  EXPECT_EQ(sum[cells::duration.sum()], 10'000'000U);
  EXPECT_EQ(sum[cells::queue_wait.sum()], 2'000'000U);
  EXPECT_EQ(sum[cells::application.sum()], 4'000'000U);
}

TEST_F(CountExchange, OneThatWaitedInVainHasNoApplication) {
  exchange_->route = Route::queued;
  const auto sum = count(503);
  EXPECT_EQ(count_of(cells::queue_wait, sum), 1U);
  EXPECT_EQ(count_of(cells::application, sum), 0U);
}

TEST_F(CountExchange, OneThatWasAnsweredOnTheWayHasWaitedForNobody) {
  exchange_->route = Route::native;
  const auto sum = count(304);
  EXPECT_EQ(count_of(cells::duration, sum), 1U);
  EXPECT_EQ(count_of(cells::queue_wait, sum), 0U);
  EXPECT_EQ(sum[cells::request(0, 1, 3)], 1U);
}

TEST_F(CountExchange, WhatWasRefusedBeforeItWasARequestTookNoTime) {
  exchange_->request.clear();
  exchange_->received_at = SteadyTime();
  exchange_->head_written = false;
  const auto sum = count(400);
  EXPECT_EQ(sum[cells::request(9, 1, 4)], 1U);
  EXPECT_EQ(sum[cells::refusal(400)], 1U);
  EXPECT_EQ(sum[cells::duration.first], 1U);
  EXPECT_EQ(sum[cells::duration.sum()], 0U);
}

TEST_F(CountExchange, WhatBecameAnotherProtocolHasNoDuration) {
  exchange_->framing = ResponseFraming::opaque;
  const auto sum = count(101);
  EXPECT_EQ(sum[cells::request(0, 1, 1)], 1U);
  EXPECT_EQ(count_of(cells::duration, sum), 0U);
}

TEST_F(CountExchange, ADepartureIsTheCause) {
  exchange_->head_written = false;
  exchange_->depart(Departure::body_timeout);
  const auto sum = count(0, false);
  EXPECT_EQ(sum[cells::request(0, 1, 0)], 1U);
  EXPECT_EQ(sum[cells::causes_at + cause_of(Departure::body_timeout)], 1U);
  EXPECT_EQ(counted_causes[cause_of(Departure::body_timeout)], "body_timeout");
}

TEST_F(CountExchange, ASlowOneIsKeptWithWhatItWas) {
  Activity activity(1);
  const auto later = now_ + 10ms;
  note_slow_exchange(activity, *exchange_, 200, true, later);
  const auto kept = activity.slowest(1, later);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].request, "GET / HTTP/1.1");
  EXPECT_EQ(kept[0].took, 10ms);
  EXPECT_EQ(kept[0].queued, 2ms);
  EXPECT_EQ(kept[0].status, 200);
  EXPECT_TRUE(kept[0].complete);
  exchange_->framing = ResponseFraming::opaque;
  note_slow_exchange(activity, *exchange_, 101, true, later);
  exchange_->framing = ResponseFraming::none;
  exchange_->received_at = SteadyTime();
  note_slow_exchange(activity, *exchange_, 400, true, later);
  EXPECT_EQ(activity.slowest(1, later).size(), 1U) << "another protocol, and no request, are not";
}

TEST(Names, AreThoseThatAreKnown) {
  EXPECT_EQ(counted_methods[method_of("GET")], "GET");
  EXPECT_EQ(counted_methods[method_of("TRACE")], "TRACE");
  for (const auto* method : {"", "get", "BREW", "other"}) {
    EXPECT_EQ(counted_methods[method_of(method)], "other") << method;
  }
  EXPECT_EQ(counted_protocols[protocol_of({1, 0})], "HTTP/1.0");
  EXPECT_EQ(counted_protocols[protocol_of({1, 1})], "HTTP/1.1");
  EXPECT_EQ(counted_protocols[protocol_of({2, 0})], "HTTP/2");
  EXPECT_EQ(counted_protocols[protocol_of({3, 0})], "HTTP/3");
}

}  // namespace
}  // namespace prowingen::metrics
