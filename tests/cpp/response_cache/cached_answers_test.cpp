// Which requests are answered on the I/O thread, and with what.
#include "response_cache/cached_answers.h"

#include <gtest/gtest.h>

#include "response_cache/exchanges.h"

namespace prowingen::response_cache {
namespace {

constexpr std::pair<std::string_view, std::string_view> kept{"Cache-Control", "s-maxage=60"};

class CachedAnswersTest : public testing::Test {
 protected:
  bool answers(const std::shared_ptr<Exchange>& exchange) {
    const auto before = workers_.taken.size();
    EXPECT_EQ(cached_.submit({&exchange, 1}), 1U);
    return std::find(workers_.taken.begin() + static_cast<std::ptrdiff_t>(before),
                     workers_.taken.end(), exchange) == workers_.taken.end();
  }
  static std::string body_of(Exchange& exchange) {
    Exchange::Output output;
    exchange.take_output(output);
    EXPECT_TRUE(output.finished);
    std::string body;
    for (const auto& chunk : output.chunks) body += chunk.bytes();
    return body;
  }
  static std::string field_of(const Exchange& exchange, std::string_view name) {
    for (const auto& field : exchange.response.fields()) {
      if (exchange.response.view(field.name) == name) {
        return std::string(exchange.response.view(field.value));
      }
    }
    return "none";
  }
  ResponseCache cache_{{100'000, 10'000, true}};
  Workers workers_;
  CachedAnswers cached_{cache_, workers_, 2};
};

TEST_F(CachedAnswersTest, WhatIsKeptIsLent) {
  EXPECT_FALSE(answers(request("/a")));
  keep(cache_, *request("/a"), {kept, {"X", "y"}}, "body");
  const auto again = request("/a");
  EXPECT_TRUE(answers(again));
  EXPECT_EQ(body_of(*again), "body");
  EXPECT_EQ(again->response.status, 200);
  EXPECT_EQ(field_of(*again, "X"), "y");
  EXPECT_EQ(field_of(*again, "Age"), "0");
  EXPECT_EQ(field_of(*again, "Cache-Status"), "prowingen; hit; ttl=60");
  EXPECT_TRUE(again->response_body.add_length_field && again->response_body.length_known);
  EXPECT_EQ(again->response_body.length, 4U);
  EXPECT_EQ(cache_.counters().hits, 1U);
  EXPECT_EQ(cache_.counters().misses, 1U);
  EXPECT_EQ(cached_.backlog().count(), 42);
}

TEST_F(CachedAnswersTest, HeadHasTheLengthAndNoBody) {
  keep(cache_, *request("/a"), {kept, {"Content-Length", "4"}}, "body");
  const auto head = request("/a", {}, "HEAD");
  EXPECT_TRUE(answers(head));
  EXPECT_EQ(body_of(*head), "");
  EXPECT_EQ(head->response_body.length, 4U);
  EXPECT_FALSE(head->response_body.add_length_field || head->response_body.allowed);
}

TEST_F(CachedAnswersTest, WhoHasItGetsNoContent) {
  keep(cache_, *request("/a"), {kept, {"ETag", "\"1\""}}, "body");
  const auto known = request("/a", {{"If-None-Match", "\"1\""}});
  EXPECT_TRUE(answers(known));
  EXPECT_EQ(known->response.status, 304);
  EXPECT_EQ(body_of(*known), "");
  EXPECT_FALSE(known->response_body.length_known);

  keep(cache_, *request("/gone"), {kept, {"ETag", "\"1\""}}, "body", 410);
  const auto gone = request("/gone", {{"If-None-Match", "\"1\""}});
  EXPECT_TRUE(answers(gone));
  EXPECT_EQ(gone->response.status, 410);
}

TEST_F(CachedAnswersTest, OthersGoOnInTheirOrderAndWhatFindsNoRoomIsTold) {
  keep(cache_, *request("/kept"), {kept}, "body");
  workers_.room = 1;
  std::vector<std::shared_ptr<Exchange>> exchanges;
  for (const auto* const target : {"/kept", "/1", "/kept", "/2", "/3", "/kept"}) {
    exchanges.push_back(request(target));
  }
  EXPECT_EQ(cached_.submit(exchanges), 4U);
  ASSERT_EQ(workers_.taken.size(), 2U);
  EXPECT_EQ(workers_.taken[0]->request.target(), "/1");
  EXPECT_EQ(workers_.taken[1]->request.target(), "/2");
  EXPECT_EQ(exchanges[4]->state(), ExchangeState::receiving);
  EXPECT_EQ(exchanges[5]->state(), ExchangeState::finished);
}

TEST_F(CachedAnswersTest, AnErrorOfAnUnsafeMethodChangesNothing) {
  keep(cache_, *request("/a"), {kept}, "body");
  const auto denied = request("/a", {}, "POST");
  set_head(*denied, {}, 403);
  EXPECT_FALSE(cache_.begin(*denied));
  EXPECT_TRUE(answers(request("/a")));
  const auto done = request("/a", {}, "POST");
  set_head(*done, {}, 204);
  EXPECT_FALSE(cache_.begin(*done));
  EXPECT_FALSE(answers(request("/a")));
}

}  // namespace

}  // namespace prowingen::response_cache
