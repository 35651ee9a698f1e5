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
  EXPECT_TRUE(waiting().too_slow(start + 10s, 2399, rate));
  EXPECT_FALSE(waiting().too_slow(start + 10s, 2400, rate));
}

TEST(ClientPace, IsJudgedWindowByWindow) {
  auto pace = waiting();
  EXPECT_FALSE(pace.too_slow(start + 10s, 1'000'000, rate));
  EXPECT_TRUE(pace.too_slow(start + 20s, 1'000'010, rate)) << "speed is not saved up";
}

TEST(ClientPace, SilenceIsLeftToOtherLimitsAndCountedOnceSomethingMoves) {
  auto pace = waiting();
  EXPECT_FALSE(pace.too_slow(start + 10s, 0, rate));
  EXPECT_FALSE(pace.too_slow(start + 20s, 0, rate));
  EXPECT_TRUE(pace.too_slow(start + 30s, 7000, rate)) << "the window is 30 s long by now";

  auto another = waiting();
  EXPECT_FALSE(another.too_slow(start + 20s, 0, rate));
  EXPECT_FALSE(another.too_slow(start + 30s, 7200, rate));
}

TEST(ClientPace, TimeWithoutAWaitIsNobodys) {
  auto pace = waiting();
  pace.rest();
  pace.wait(start + 9s, 10);
  EXPECT_FALSE(pace.too_slow(start + 10s, 20, rate));
  EXPECT_TRUE(pace.too_slow(start + 20s, 30, rate)) << "from then on it counts";
}

TEST(ClientPace, AnEstimateThatGoesBackIsNoProgress) {
  EXPECT_TRUE(waiting(500).too_slow(start + 10s, 400, rate));
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
