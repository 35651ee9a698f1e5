// The lists of time limits: which deadline expires, when, and in what order.
#include "engine_embedded/deadlines.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <vector>

namespace prowingen::embedded {
namespace {

using namespace std::chrono_literals;
using Clock = Deadlines::Clock;

Clock::time_point at(Clock::duration time) { return Clock::time_point{} + 1h + time; }

// In the order of Timeout.
constexpr std::array<Clock::duration, timeout_kinds> lengths{10s, 5s, 30s, 60s, 2s, 1s, 20s, 40s};

std::vector<Deadline*> expired(Deadlines& deadlines, Clock::time_point now) {
  std::vector<Deadline*> all;
  while (Deadline* deadline = deadlines.pop_expired(now)) all.push_back(deadline);
  return all;
}

TEST(Deadlines, ExpiresAfterTheLengthOfItsKind) {
  for (std::size_t kind = 0; kind < timeout_kinds; ++kind) {
    Deadlines deadlines(lengths);
    Deadline deadline;
    deadlines.arm(deadline, static_cast<Timeout>(kind), at(0s));
    EXPECT_EQ(deadlines.pop_expired(at(lengths[kind] - 1ns)), nullptr) << kind;
    EXPECT_EQ(deadlines.pop_expired(at(lengths[kind])), &deadline) << kind;
    EXPECT_EQ(deadline.kind, static_cast<Timeout>(kind));
  }
}

TEST(Deadlines, ExpiresOnce) {
  Deadlines deadlines(lengths);
  Deadline deadline;
  deadlines.arm(deadline, Timeout::drain, at(0s));
  EXPECT_TRUE(deadline.armed());
  ASSERT_EQ(deadlines.pop_expired(at(1s)), &deadline);
  EXPECT_FALSE(deadline.armed());
  EXPECT_EQ(deadlines.pop_expired(at(1h)), nullptr);
}

TEST(Deadlines, OfOneKindExpireInTheOrderTheyWereArmed) {
  Deadlines deadlines(lengths);
  std::array<Deadline, 4> armed;
  for (std::size_t i = 0; i < armed.size(); ++i) {
    deadlines.arm(armed[i], Timeout::header, at(i * 1s));
  }
  EXPECT_EQ(expired(deadlines, at(11s)), (std::vector{&armed[0], &armed[1]}));
  EXPECT_EQ(expired(deadlines, at(13s)), (std::vector{&armed[2], &armed[3]}));
}

TEST(Deadlines, ALongOneHidesNoShortOneOfAnotherKind) {
  Deadlines deadlines(lengths);
  Deadline write;
  Deadline linger;
  deadlines.arm(write, Timeout::write, at(0s));
  deadlines.arm(linger, Timeout::linger, at(0s));
  EXPECT_EQ(expired(deadlines, at(2s)), std::vector{&linger});
  EXPECT_EQ(expired(deadlines, at(60s)), std::vector{&write});
}

TEST(Deadlines, ArmingAgainStartsOver) {
  Deadlines deadlines(lengths);
  Deadline early;
  Deadline other;
  deadlines.arm(early, Timeout::body, at(0s));
  deadlines.arm(other, Timeout::body, at(1s));
  deadlines.arm(early, Timeout::body, at(20s));
  EXPECT_EQ(expired(deadlines, at(49s)), std::vector{&other});
  EXPECT_EQ(expired(deadlines, at(50s)), std::vector{&early});
}

TEST(Deadlines, ArmingForAnotherKindLeavesTheFirst) {
  Deadlines deadlines(lengths);
  Deadline deadline;
  deadlines.arm(deadline, Timeout::drain, at(0s));
  deadlines.arm(deadline, Timeout::keep_alive, at(0s));
  EXPECT_EQ(deadlines.pop_expired(at(4s)), nullptr);
  ASSERT_EQ(deadlines.pop_expired(at(5s)), &deadline);
  EXPECT_EQ(deadline.kind, Timeout::keep_alive);
}

TEST(Deadlines, DisarmedNeverExpireWhereverTheyStood) {
  for (std::size_t gone = 0; gone < 3; ++gone) {
    Deadlines deadlines(lengths);
    std::array<Deadline, 3> armed;
    for (auto& deadline : armed) deadlines.arm(deadline, Timeout::linger, at(0s));
    deadlines.disarm(armed[gone]);
    EXPECT_FALSE(armed[gone].armed());
    std::vector<Deadline*> left;
    for (std::size_t i = 0; i < armed.size(); ++i) {
      if (i != gone) left.push_back(&armed[i]);
    }
    EXPECT_EQ(expired(deadlines, at(1h)), left);
  }
}

TEST(Deadlines, DisarmingWhatIsNotArmedDoesNothing) {
  Deadlines deadlines(lengths);
  Deadline never;
  Deadline armed;
  deadlines.disarm(never);
  deadlines.arm(armed, Timeout::linger, at(0s));
  deadlines.disarm(armed);
  deadlines.disarm(armed);
  EXPECT_EQ(deadlines.pop_expired(at(1h)), nullptr);
}

// A handler of one that expired arms it again, or ends a connection whose other one is due too.
TEST(Deadlines, HandlersMayChangeThemMeanwhile) {
  Deadlines deadlines(lengths);
  Deadline rearmed;
  Deadline dropped;
  Deadline last;
  for (auto* deadline : {&rearmed, &dropped, &last}) {
    deadlines.arm(*deadline, Timeout::write, at(0s));
  }
  ASSERT_EQ(deadlines.pop_expired(at(60s)), &rearmed);
  deadlines.arm(rearmed, Timeout::write, at(60s));
  deadlines.disarm(dropped);
  EXPECT_EQ(expired(deadlines, at(60s)), std::vector{&last});
  EXPECT_EQ(expired(deadlines, at(120s)), std::vector{&rearmed});
}

TEST(Deadlines, AgreeWithASimpleModelOfThem) {
  std::mt19937 random(3333);
  Deadlines deadlines(lengths);
  std::array<Deadline, 20> all;
  std::map<Deadline*, Clock::time_point> model;
  Clock::time_point now = at(0s);
  for (int round = 0; round < 20'000; ++round) {
    now += std::chrono::milliseconds(random() % 500);
    Deadline& deadline = all[random() % all.size()];
    if (random() % 4 == 0) {
      deadlines.disarm(deadline);
      model.erase(&deadline);
    } else {
      const auto kind = random() % timeout_kinds;
      deadlines.arm(deadline, static_cast<Timeout>(kind), now);
      model[&deadline] = now + lengths[kind];
    }
    for (Deadline* due : expired(deadlines, now)) {
      ASSERT_TRUE(model.contains(due)) << "not armed";
      ASSERT_LE(model[due], now) << "too early";
      model.erase(due);
    }
    for (const auto& [armed, when] : model) {
      ASSERT_GT(when, now) << "too late";
      ASSERT_TRUE(armed->armed());
    }
  }
}

}  // namespace
}  // namespace prowingen::embedded
