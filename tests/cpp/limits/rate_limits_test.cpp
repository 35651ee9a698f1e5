// Requests that come too often are answered on the way to the workers.
#include "limits/rate_limits.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/exchange.h"
#include "no_transport.h"

namespace prowingen::limits {
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

class RateLimitsTest : public testing::Test {
 protected:
  void limit(const std::vector<std::string>& texts) {
    limits_ = std::make_unique<RateLimits>(
        parse_rate_limits(texts), table_, others_,
        [this](Severity, const std::string& text) { said_.push_back(text); });
  }
  std::shared_ptr<Exchange> ask(const char* target, const char* from = "192.0.2.1",
                                const char* method = "GET") {
    auto exchange = std::make_shared<Exchange>(transport_);
    exchange->request.set_request_line(method, target, {1, 1});
    auto peer = std::make_shared<ConnectionInfo>();
    peer->remote_address = from;
    exchange->peer = std::move(peer);
    EXPECT_EQ(limits_->submit({&exchange, 1}), 1U);
    return exchange;
  }
  /// Its status if it was answered, 0 if it went on.
  int status(const char* target, const char* from = "192.0.2.1") {
    const auto before = others_.targets.size();
    const auto exchange = ask(target, from);
    return others_.targets.size() == before ? exchange->response.status : 0;
  }

  NoTransport transport_;
  Others others_;
  RateTable table_{64};
  std::vector<std::string> said_;
  std::unique_ptr<RateLimits> limits_;
};

TEST_F(RateLimitsTest, WhoAsksTooOftenIsTold) {
  limit({"2/h"});
  EXPECT_EQ(status("/"), 0);
  EXPECT_EQ(status("/other"), 0);
  const auto refused = ask("/");
  EXPECT_EQ(refused->state(), ExchangeState::finished);
  EXPECT_EQ(refused->response.status, 429);
  EXPECT_NE(refused->response.wire().find("Retry-After: 1800\r\n"), std::string_view::npos);
  EXPECT_EQ(limits_->counters().refused, 1U);
  ASSERT_EQ(said_.size(), 1U);
  EXPECT_EQ(said_[0], "1 requests came faster than rate_limit allows and were answered 429");
  const auto head = ask("/", "192.0.2.1", "HEAD");
  EXPECT_EQ(head->response.status, 429);
  EXPECT_FALSE(head->response_body.allowed);
  EXPECT_EQ(status("/", "192.0.2.2"), 0) << "another client";
}

TEST_F(RateLimitsTest, TheLongestPrefixCounts) {
  limit({"3/h", "/login=1/h", "/login/free/=off", "/a%20b=1/h"});
  EXPECT_EQ(status("/login"), 0);
  EXPECT_EQ(status("/login"), 429);
  EXPECT_EQ(status("/login/next?x=/y"), 429);
  EXPECT_EQ(status("/log%69n"), 429);
  EXPECT_EQ(status("http://host/login"), 429);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(status("/login/free"), 0);
  EXPECT_EQ(status("/a%20b"), 0);
  EXPECT_EQ(status("/a%20b/c"), 429);
  EXPECT_EQ(status("/loginx"), 0);
  EXPECT_EQ(status("/login.html"), 0);
  EXPECT_EQ(status("/"), 0);
  EXPECT_EQ(status("/"), 429) << "all that no prefix names is one rate's";
}

TEST_F(RateLimitsTest, WhatNoRateIsForGoesOn) {
  limit({"/login=1/h"});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(status("/"), 0);
}

TEST_F(RateLimitsTest, AClientIsAnAddressOrASiteOfIPv6) {
  limit({"1/h"});
  EXPECT_EQ(status("/", "2001:db8:0:1::1"), 0);
  EXPECT_EQ(status("/", "2001:db8:0:1:ffff::2"), 429);
  EXPECT_EQ(status("/", "2001:db8:0:2::1"), 0);
  EXPECT_EQ(status("/", "fe80::1%eth0"), 0);
  EXPECT_EQ(status("/", "fe80::2%eth0"), 429);
  EXPECT_EQ(status("/", "192.0.2.1"), 0);
  EXPECT_EQ(status("/", "::ffff:192.0.2.1"), 429) << "the same by a socket for both";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status("/", ""), 0) << "a Unix socket";
}

TEST_F(RateLimitsTest, ThoseInBetweenGoOnInOneCall) {
  limit({"/few=1/h"});
  std::vector<std::shared_ptr<Exchange>> exchanges;
  for (const char* target : {"/few", "/a", "/few", "/b"}) {
    auto exchange = std::make_shared<Exchange>(transport_);
    exchange->request.set_request_line("GET", target, {1, 1});
    auto peer = std::make_shared<ConnectionInfo>();
    peer->remote_address = "192.0.2.1";
    exchange->peer = std::move(peer);
    exchanges.push_back(std::move(exchange));
  }
  EXPECT_EQ(limits_->submit(exchanges), 4U);
  EXPECT_EQ(others_.targets, (std::vector<std::string>{"/few", "/a", "/b"}));
}

TEST_F(RateLimitsTest, AFullTableIsSaid) {
  RateTable table(1);
  RateLimits limits(parse_rate_limits({"1/h"}), table, others_,
                    [this](Severity, const std::string& text) { said_.push_back(text); });
  for (int client = 1; client <= 9; ++client) {
    auto exchange = std::make_shared<Exchange>(transport_);
    exchange->request.set_request_line("GET", "/", {1, 1});
    auto peer = std::make_shared<ConnectionInfo>();
    peer->remote_address = "192.0.2." + std::to_string(client);
    exchange->peer = std::move(peer);
    EXPECT_EQ(limits.submit({&exchange, 1}), 1U);
  }
  EXPECT_EQ(others_.targets.size(), 9U);
  EXPECT_EQ(limits.counters().uncounted, 1U);
  ASSERT_EQ(said_.size(), 1U);
  EXPECT_TRUE(said_[0].starts_with("1 requests were not counted for rate_limit")) << said_[0];
}

TEST_F(RateLimitsTest, BucketsOutliveAReloadWithTheSameRate) {
  limit({"1/h", "/login=1/h"});
  EXPECT_EQ(status("/"), 0);
  limit({"/other=9/h", "1/h"});
  EXPECT_EQ(status("/"), 429);
  limit({"2/h"});
  EXPECT_EQ(status("/"), 0) << "another rate has other buckets";
}

TEST(RateLimitTexts, WhatIsNoneIsQuoted) {
  EXPECT_EQ(parse_rate_limits({"/a=b=5/m"}).at(0).prefix, "/a=b");
  EXPECT_EQ(parse_rate_limits({"/=5/m"}).at(0).prefix, "");
  try {
    parse_rate_limits({"1/s", "/login=often"});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("rate_limit: \"/login=often\": must be"));
  }
}

}  // namespace
}  // namespace prowingen::limits
