// What is found again, what makes room, and what a change takes away.
#include "response_cache/store.h"

#include <gtest/gtest.h>

#include <thread>

#include "response_cache/exchanges.h"

namespace prowingen::response_cache {
namespace {

using std::chrono::seconds;

class StoreTest : public testing::Test {
 protected:
  static std::unique_ptr<Entry> entry(std::string_view uri, std::string body, int asked_at = 0) {
    auto made = std::make_unique<Entry>();
    made->uri = uri;
    made->body = std::move(body);
    made->lifetime.fresh = seconds(60);
    made->made_at = start;
    made->asked_at = start + seconds(asked_at);
    return made;
  }
  void keep(std::string_view uri, std::string body, Fields fields = {},
            const FieldNames& varies = {}, int asked_at = 0) {
    store_.keep(entry(uri, std::move(body), asked_at), request("/", fields)->request, varies);
  }
  std::string find(std::string_view uri, Fields fields = {}, int after = 0) {
    const auto found =
        store_.find(std::string(uri), request("/", fields)->request, start + seconds(after));
    return found ? found->body : "none";
  }

  static inline const SteadyTime start = std::chrono::steady_clock::now();
  Store store_{10'000};
};

TEST_F(StoreTest, WhatIsKeptIsFoundAndLastOnesOnly) {
  keep("a", "1");
  keep("b", "2");
  EXPECT_EQ(find("a"), "1");
  keep("a", "3");
  EXPECT_EQ(find("a"), "3");
  EXPECT_EQ(find("b"), "2");
  EXPECT_EQ(find("c"), "none");
  EXPECT_EQ(store_.counters().entries, 2U);
  EXPECT_EQ(store_.counters().stored, 3U);
  EXPECT_EQ(store_.counters().evicted, 0U);
}

TEST_F(StoreTest, WhatWasAskedForEarlierTakesNoPlace) {
  keep("a", "later", {}, {}, 5);
  keep("a", "earlier", {}, {}, 4);
  EXPECT_EQ(find("a"), "later");
}

TEST_F(StoreTest, RoomIsMadeByWhatWasNotAskedForForLongest) {
  const std::string large(3000, 'x');
  keep("a", large);
  keep("b", large);
  EXPECT_EQ(find("a"), large);
  keep("c", large);
  EXPECT_EQ(find("b"), "none");
  EXPECT_EQ(find("a"), large);
  EXPECT_EQ(find("c"), large);
  EXPECT_EQ(store_.counters().evicted, 1U);
  EXPECT_LE(store_.counters().bytes, 10'000U);
  keep("d", std::string(20'000, 'x'));
  EXPECT_EQ(find("d"), "none") << "larger than all room";
  EXPECT_EQ(store_.counters().entries, 2U);
}

TEST_F(StoreTest, WhatIsOverGoes) {
  keep("a", "1");
  EXPECT_EQ(find("a", {}, 59), "1");
  EXPECT_EQ(find("a", {}, 60), "none");
  EXPECT_EQ(store_.counters().entries, 0U);
  EXPECT_EQ(store_.counters().bytes, 0U);
}

TEST_F(StoreTest, AnswersOfOneUriVaryByWhatAnyOfThemDoes) {
  keep("a", "any");
  keep("a", "1", {{"x", "1"}}, {"x"});
  EXPECT_EQ(find("a"), "none") << "it was not said what it varies by";
  EXPECT_EQ(find("a", {{"x", "1"}}), "1");
  keep("a", "2", {{"x", "2"}}, {"x"});
  EXPECT_EQ(find("a", {{"x", "1"}}), "1");
  EXPECT_EQ(find("a", {{"x", "2"}}), "2");
  keep("a", "3", {{"x", "3"}});
  EXPECT_EQ(find("a", {{"x", "1"}}), "1") << "nothing new is varied by";
  keep("a", "4", {{"x", "1"}, {"y", "1"}}, {"y"});
  EXPECT_EQ(find("a", {{"x", "1"}}), "none");
  EXPECT_EQ(find("a", {{"x", "1"}, {"y", "1"}}), "4");
  EXPECT_EQ(store_.counters().entries, 1U);
}

TEST_F(StoreTest, WhatVariesByTooMuchIsNotKept) {
  FieldNames names;
  for (char c = 'a'; c < 'a' + 16; ++c) names.emplace_back(1, c);
  keep("a", "1", {}, names);
  EXPECT_EQ(find("a"), "1");
  keep("a", "2", {}, {"z"});
  EXPECT_EQ(find("a"), "1");
}

TEST_F(StoreTest, AChangeTakesAllOfAUriAndWhatWasAskedForBefore) {
  keep("a", "1", {{"x", "1"}}, {"x"});
  keep("a", "2", {{"x", "2"}}, {"x"});
  keep("b", "3");
  store_.remove("a");
  EXPECT_EQ(find("a", {{"x", "1"}}) + find("a", {{"x", "2"}}), "nonenone");
  EXPECT_EQ(find("b"), "3");
  keep("a", "asked for before");
  EXPECT_EQ(find("a"), "none");
  keep("a", "after", {}, {}, 3600);
  EXPECT_EQ(find("a"), "after");
}

TEST_F(StoreTest, OneAloneIsTakenIfItIsThere) {
  keep("a", "1");
  const auto old = store_.find("a", request("/")->request, start);
  keep("a", "2");
  store_.remove(*old);
  EXPECT_EQ(find("a"), "2");
  store_.remove(*store_.find("a", request("/")->request, start));
  EXPECT_EQ(find("a"), "none");
  store_.remove(*old);
}

TEST_F(StoreTest, WhatIsLentOutlivesItsPlace) {
  keep("a", "1");
  const auto lent = store_.find("a", request("/")->request, start);
  store_.remove("a");
  EXPECT_EQ(lent->body, "1");
}

TEST_F(StoreTest, ThreadsDoAllOfThisAtOnce) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int turn = 0; turn < 2000; ++turn) {
        const std::string uri(1, static_cast<char>('a' + (turn * 7 + thread) % 20));
        if (turn % 3 == 0) keep(uri, std::string(1000, uri[0]), {}, {}, 3600);
        if (turn % 50 == 0) store_.remove(uri);
        const auto found = find(uri);
        EXPECT_TRUE(found == "none" || found == std::string(1000, uri[0]));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(store_.counters().bytes, 10'000U);
  EXPECT_GT(store_.counters().evicted, 0U);
}

}  // namespace
}  // namespace prowingen::response_cache
