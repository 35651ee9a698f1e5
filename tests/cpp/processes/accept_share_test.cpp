// Which of several processes takes the next connection, and the figures that it goes by.
#include "processes/accept_share.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>

namespace prowingen {
namespace {

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

class AcceptShareTest : public ::testing::Test {
 protected:
  AcceptShareTest() {
    for (std::size_t slot = 0; slot < board.size(); ++slot) board.clear(slot);
  }

  void other(std::uint64_t connections, bool accepting = true) {
    board.slot(1).set(Score::accepting, accepting ? 1 : 0);
    board.slot(1).set(Score::heartbeat_ns, now_ns());
    board.slot(1).set(Score::connections_open, connections);
  }

  bool gives_way(std::size_t open) { return share.others_first(open).count() != 0; }

  Scoreboard board{4};
  AcceptShare share{board, 0};
};

TEST_F(AcceptShareTest, TakesEverythingAlone) {
  share.accepts(true);
  for (std::size_t open = 0; open < 100; ++open) EXPECT_FALSE(gives_way(open));
  EXPECT_EQ(board.slot(0).get(Score::connections_open), 99U);
}

TEST_F(AcceptShareTest, GivesWayToOneThatHasFewer) {
  share.accepts(true);
  other(3);
  EXPECT_FALSE(gives_way(3));
  EXPECT_FALSE(gives_way(4)) << "one ahead is even enough";
  EXPECT_TRUE(gives_way(5));
}

TEST_F(AcceptShareTest, NeverGivesWayTwiceInARow) {
  share.accepts(true);
  other(0);
  EXPECT_TRUE(gives_way(10));
  EXPECT_FALSE(gives_way(10)) << "whatever the others do";
  EXPECT_TRUE(gives_way(11));
}

TEST_F(AcceptShareTest, MayBeAheadByAnEighthOfMany) {
  share.accepts(true);
  other(800);
  EXPECT_FALSE(gives_way(900));
  EXPECT_TRUE(gives_way(901));
}

TEST_F(AcceptShareTest, DoesNotWaitForWhoTakesNone) {
  share.accepts(true);
  other(0, false);
  EXPECT_FALSE(gives_way(10)) << "it drains";
  other(0);
  board.slot(1).set(Score::heartbeat_ns, now_ns() - 2'000'000'000U);
  EXPECT_FALSE(gives_way(10)) << "it is frozen";
}

TEST_F(AcceptShareTest, StuckItLeavesAllToOneThatIsWell) {
  share.accepts(true);
  other(10);
  board.slot(0).set(Score::stalled_ns, 200'000'000U);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(gives_way(0)) << "as often as it is asked";
  board.slot(1).set(Score::stalled_ns, 200'000'000U);
  EXPECT_FALSE(gives_way(0)) << "the other is stuck too";
  board.slot(1).set(Score::stalled_ns, 0);
  board.slot(0).set(Score::stalled_ns, 50'000'000U);
  EXPECT_FALSE(gives_way(0)) << "requests may take their time";
}

TEST_F(AcceptShareTest, DoesNotGiveWayToOneThatIsStuck) {
  share.accepts(true);
  other(0);
  board.slot(1).set(Score::stalled_ns, 200'000'000U);
  EXPECT_FALSE(gives_way(10));
}

TEST_F(AcceptShareTest, TakesWhatHasComeBeforeItStops) {
  other(0);
  EXPECT_FALSE(gives_way(10)) << "it accepts no more itself";
}

TEST(ScoreboardTest, HasSlotsThatAreClearedForTheNext) {
  Scoreboard board(2);
  EXPECT_EQ(board.used(), 0U);
  board.slot(1).set(Score::pid, 7);
  board.clear(1);
  EXPECT_EQ(board.slot(1).get(Score::pid), 0U);
  EXPECT_EQ(board.used(), 2U);
  EXPECT_THROW(static_cast<void>(board.slot(2)), std::out_of_range);
}

}  // namespace
}  // namespace prowingen
