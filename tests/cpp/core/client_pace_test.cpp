// How fast a client moves: who is too slow, and whose time is not counted.
#include "core/client_pace.h"

#include <gtest/gtest.h>

namespace prowingen {
namespace {

using namespace std::chrono_literals;

constexpr double rate = 240;
const ClientPace::Time start{std::chrono::hours(1)};

ClientPace waiting(std::uint64_t moved = 0) {
  ClientPace pace;
  pace.wait(start, moved);
  pace.open_window(start, moved);
  return pace;
}

TEST(ClientPace, IsTooSlowBelowTheRate) {
  auto pace = waiting();
  EXPECT_FALSE(pace.too_slow(start + 10s, 2399, rate)) << "it may have come back just now";
  EXPECT_TRUE(pace.too_slow(start + 20s, 4799, rate));

  auto another = waiting();
  EXPECT_FALSE(another.too_slow(start + 10s, 2399, rate));
  EXPECT_FALSE(another.too_slow(start + 20s, 4800, rate));
}

TEST(ClientPace, IsJudgedWindowByWindow) {
  auto pace = waiting();
  EXPECT_FALSE(pace.too_slow(start + 10s, 1'000'000, rate));
  EXPECT_FALSE(pace.too_slow(start + 20s, 1'000'010, rate));
  EXPECT_TRUE(pace.too_slow(start + 30s, 1'000'020, rate)) << "speed is not saved up";
}

TEST(ClientPace, SilenceIsLeftToOtherLimitsAndCountedOnceSomethingMoves) {
  auto pace = waiting();
  EXPECT_FALSE(pace.too_slow(start + 10s, 0, rate));
  EXPECT_FALSE(pace.too_slow(start + 20s, 0, rate));
  EXPECT_FALSE(pace.too_slow(start + 30s, 5000, rate));
  EXPECT_TRUE(pace.too_slow(start + 40s, 9500, rate)) << "the window is 40 s long by now";

  auto another = waiting();
  EXPECT_FALSE(another.too_slow(start + 20s, 0, rate));
  EXPECT_FALSE(another.too_slow(start + 30s, 7200, rate));
}

TEST(ClientPace, WhoeverComesBackHasAWholeWindowHoweverShortlyBeforeItsEnd) {
  for (const auto silence : {9s, 19s, 29s}) {
    auto pace = waiting();
    for (auto end = 10s; end < silence; end += 10s) {
      EXPECT_FALSE(pace.too_slow(start + end, 0, rate));
    }
    const auto end = silence + 1s;
    EXPECT_FALSE(pace.too_slow(start + end, 1000, rate)) << "in the one second since";
    EXPECT_FALSE(pace.too_slow(start + end + 10s, 11'000, rate));
    EXPECT_FALSE(pace.too_slow(start + end + 20s, 13'400, rate)) << "and a window of its own";
  }
}

TEST(ClientPace, AByteBeforeEachLimitGainsNothing) {
  auto pace = waiting();
  EXPECT_FALSE(pace.too_slow(start + 10s, 0, rate));
  EXPECT_FALSE(pace.too_slow(start + 20s, 0, rate));
  EXPECT_FALSE(pace.too_slow(start + 30s, 1, rate));
  EXPECT_TRUE(pace.too_slow(start + 40s, 1, rate)) << "what is silent again has moved before";
}

TEST(ClientPace, TimeWithoutAWaitIsNobodys) {
  auto pace = waiting();
  pace.rest();
  pace.wait(start + 9s, 10);
  EXPECT_FALSE(pace.too_slow(start + 10s, 20, rate));
  EXPECT_FALSE(pace.too_slow(start + 20s, 30, rate)) << "from then on it counts";
  EXPECT_TRUE(pace.too_slow(start + 30s, 40, rate));
}

TEST(ClientPace, AnEstimateThatGoesBackIsNoProgress) {
  auto pace = waiting(500);
  EXPECT_FALSE(pace.too_slow(start + 10s, 400, rate));
  EXPECT_TRUE(pace.too_slow(start + 20s, 400, rate));
}

TEST(ClientPace, KnowsForHowLongItsClientHasHardlyMoved) {
  ClientPace pace;
  EXPECT_EQ(pace.waited(start).count(), 0);
  pace.wait(start, 0);
  pace.wait(start + 3s, 1000);
  EXPECT_EQ(pace.waited(start + 4s), 4s) << "a little is no progress";
  pace.wait(start + 5s, 70'000);
  EXPECT_EQ(pace.waited(start + 6s), 1s);
  pace.rest();
  EXPECT_FALSE(pace.waits());
  EXPECT_EQ(pace.waited(start + 9s).count(), 0);
}

}  // namespace
}  // namespace prowingen
