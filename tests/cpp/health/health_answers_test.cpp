#include "health/health_answers.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/exchange.h"
#include "no_transport.h"

namespace prowingen::health {
namespace {

using namespace std::chrono_literals;

/// In the workers' place.
struct Others final : RequestSink {
  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override {
    for (const auto& each : exchanges) targets.emplace_back(each->request.target());
    return exchanges.size();
  }
  std::chrono::nanoseconds backlog() const override { return 7ns; }
  std::vector<std::string> targets;
};

class HealthAnswersTest : public testing::Test {
 protected:
  std::shared_ptr<Exchange> ask(const char* target, const char* method = "GET") {
    auto exchange = std::make_shared<Exchange>(transport_);
    exchange->request.set_request_line(method, target, {1, 1});
    EXPECT_EQ(health_.submit({&exchange, 1}), 1U);
    return exchange;
  }
  static std::string text_of(Exchange& exchange) {
    Exchange::Output output;
    exchange.take_output(output);
    std::string text;
    for (const Chunk& chunk : output.chunks) text += chunk.bytes();
    return text;
  }

  NoTransport transport_;
  Others others_;
  Obstacle obstacle_ = Obstacle::none;
  HealthAnswers health_{"/-", others_, [this] { return obstacle_; }};
};

TEST_F(HealthAnswersTest, AnswersProbesAndNothingElse) {
  const auto live = ask("/-/live");
  EXPECT_EQ(live->response.status, 200);
  EXPECT_EQ(text_of(*live), "alive\n");
  EXPECT_TRUE(live->is_probe);
  EXPECT_EQ(text_of(*ask("/-/ready?from=lb")), "ready\n");
  for (const char* target : {"/-/other", "/-", "/-/live/", "/live", "/-/LIVE"}) ask(target);
  ask("/-/live", "POST");
  EXPECT_EQ(others_.targets, (std::vector<std::string>{"/-/other", "/-", "/-/live/", "/live",
                                                       "/-/LIVE", "/-/live"}));
}

TEST_F(HealthAnswersTest, SaysWhyItIsNotReady) {
  for (const auto obstacle :
       {Obstacle::draining, Obstacle::told, Obstacle::stuck, Obstacle::overdue}) {
    obstacle_ = obstacle;
    const auto ready = ask("/-/ready");
    EXPECT_EQ(ready->response.status, 503);
    EXPECT_EQ(text_of(*ready), "not ready: " + std::string(describe(obstacle)) + "\n");
    EXPECT_EQ(ask("/-/live")->response.status, 200);
  }
}

TEST_F(HealthAnswersTest, OfHeadIsTheHead) {
  const auto ready = ask("/-/ready", "HEAD");
  EXPECT_EQ(ready->response.status, 200);
  EXPECT_EQ(ready->response_body.length, 6U);
  EXPECT_EQ(text_of(*ready), "");
}

TEST(Readiness, TheFirstObstacleIsSaid) {
  const Patience patience{10s, 1s};
  EXPECT_EQ(obstacle_of({}, patience), Obstacle::none);
  EXPECT_EQ(obstacle_of({true, true, true, 1h, 1h}, patience), Obstacle::draining);
  EXPECT_EQ(obstacle_of({false, true, true, 1h, 1h}, patience), Obstacle::withdrawn);
  EXPECT_EQ(obstacle_of({false, false, true, 1h, 1h}, patience), Obstacle::told);
  EXPECT_EQ(obstacle_of({false, false, false, 11s, 1h}, patience), Obstacle::stuck);
  EXPECT_EQ(obstacle_of({false, false, false, 10s, 2s}, patience), Obstacle::overdue);
  EXPECT_EQ(obstacle_of({false, false, false, 10s, 1s}, patience), Obstacle::none);
  EXPECT_EQ(obstacle_of({false, false, false, 0s, 1h}, {10s, 0s}), Obstacle::none) << "for ever";
}

}  // namespace
}  // namespace prowingen::health
