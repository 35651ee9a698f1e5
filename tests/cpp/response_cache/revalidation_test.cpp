// What is asked for anew, with which request, and what becomes of what was there.
#include "response_cache/revalidation.h"

#include <gtest/gtest.h>

#include "response_cache/exchanges.h"

namespace prowingen::response_cache {
namespace {

constexpr std::pair<std::string_view, std::string_view> kept{
    "Cache-Control", "s-maxage=60, stale-while-revalidate=600"};

class RevalidationTest : public testing::Test {
 protected:
  RevalidationTest() { keep(cache_, *request("/"), {kept}, "old"); }

  // What a client finds a little more than a minute later.
  ResponseCache::EntryPointer stale(std::string_view target = "/") {
    return cache_.find(*request(target),
                       std::chrono::steady_clock::now() + std::chrono::seconds(61));
  }
  std::string text(std::string_view target = "/") {
    const auto found = stale(target);
    return found ? found->body : "none";
  }
  // Has a worker see to the one that was submitted last.
  std::shared_ptr<Exchange> begin() {
    const auto exchange = workers_.taken.back();
    EXPECT_TRUE(exchange->take());
    exchange->taken_at = std::chrono::steady_clock::now();
    return exchange;
  }
  void answer(int status, Fields fields, const std::string& body) {
    const auto exchange = begin();
    keep(cache_, *exchange, fields, body, status);
    EXPECT_EQ(exchange->push(Chunk(body), 1, true), Exchange::Push::ok);
    EXPECT_EQ(exchange->state(), ExchangeState::completed);
  }

  ResponseCache cache_{{100'000, 10'000, true}};
  Workers workers_;
  Revalidation revalidation_{cache_, workers_, 2};
};

TEST_F(RevalidationTest, AsksOnceWithTheClientsRequest) {
  const auto entry = stale();
  ASSERT_TRUE(entry);
  const auto client =
      request("/", {{"If-None-Match", "\"1\""}, {"X", "y"}, {"if-modified-since", "now"}}, "HEAD");
  client->listener = 3;
  revalidation_.ask(*client, entry);
  revalidation_.ask(*client, entry);
  ASSERT_EQ(workers_.taken.size(), 1U);
  const Exchange& asked = *workers_.taken.front();
  EXPECT_EQ(asked.request.method(), "GET");
  EXPECT_EQ(asked.request.target(), "/");
  EXPECT_EQ(asked.request.first("host"), "test");
  EXPECT_EQ(asked.request.first("x"), "y");
  EXPECT_EQ(asked.request.fields().size(), 2U);
  EXPECT_EQ(asked.listener, 3U);
  EXPECT_EQ(asked.peer, client->peer);
  EXPECT_TRUE(asked.body_whole());
}

TEST_F(RevalidationTest, WhatIsAnsweredTakesThePlace) {
  revalidation_.ask(*request("/"), stale());
  answer(200, {kept}, "new");
  EXPECT_EQ(text(), "new");
  revalidation_.ask(*request("/"), stale());
  EXPECT_EQ(workers_.taken.size(), 2U) << "it may be asked for again";
}

TEST_F(RevalidationTest, PiecesGoNowhereAndNobodyWaits) {
  revalidation_.ask(*request("/"), stale());
  const auto exchange = begin();
  set_head(*exchange, {});
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(exchange->push(Chunk("piece"), 1, false), Exchange::Push::departed);
    EXPECT_EQ(exchange->wait_writable(SteadyTime()), Exchange::Push::ok);
  }
  EXPECT_FALSE(exchange->cut());
}

TEST_F(RevalidationTest, AFailureLeavesIt) {
  revalidation_.ask(*request("/"), stale());
  answer(503, {kept}, "not now");
  EXPECT_EQ(text(), "old");
  revalidation_.ask(*request("/"), stale());
  ASSERT_EQ(workers_.taken.size(), 2U);
  begin()->abort();
  EXPECT_EQ(text(), "old");
  revalidation_.ask(*request("/"), stale());
  EXPECT_EQ(workers_.taken.size(), 3U);
}

TEST_F(RevalidationTest, WhatMayNotBeKeptTakesItAway) {
  revalidation_.ask(*request("/"), stale());
  answer(404, {}, "gone");
  EXPECT_EQ(text(), "none");
}

TEST_F(RevalidationTest, WhoFindsNoRoomMayAskLater) {
  workers_.room = 0;
  revalidation_.ask(*request("/"), stale());
  workers_.room = 1;
  revalidation_.ask(*request("/"), stale());
  EXPECT_EQ(workers_.taken.size(), 1U);
}

TEST_F(RevalidationTest, SoManyAreUnderWay) {
  for (const auto* const target : {"/1", "/2", "/3"}) {
    keep(cache_, *request(target), {kept}, "old");
    revalidation_.ask(*request(target), stale(target));
  }
  EXPECT_EQ(workers_.taken.size(), 2U);
  answer(200, {kept}, "new");
  revalidation_.ask(*request("/3"), stale("/3"));
  EXPECT_EQ(workers_.taken.size(), 3U);
}

TEST_F(RevalidationTest, WhoWantsNothingKeptHasNothingAskedFor) {
  revalidation_.ask(*request("/", {{"Cache-Control", "no-store"}}), stale());
  EXPECT_TRUE(workers_.taken.empty());
  revalidation_.ask(*request("/"), stale());
  EXPECT_EQ(workers_.taken.size(), 1U);
}

TEST_F(RevalidationTest, AStopEndsThem) {
  revalidation_.ask(*request("/"), stale());
  const auto exchange = begin();
  revalidation_.stop();
  EXPECT_TRUE(exchange->cut());
  EXPECT_EQ(exchange->push(Chunk("late"), 1, true), Exchange::Push::departed);
  keep(cache_, *request("/other"), {kept}, "old");
  revalidation_.ask(*request("/other"), stale("/other"));
  EXPECT_EQ(workers_.taken.size(), 1U);
}

}  // namespace
}  // namespace prowingen::response_cache
