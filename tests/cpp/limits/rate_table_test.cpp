// The shared table: whose bucket is whose, across threads and processes, and when there is no room.
#include "limits/rate_table.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <numeric>
#include <string_view>
#include <thread>
#include <vector>

namespace prowingen::limits {
namespace {

constexpr Nanoseconds second = 1'000'000'000;
constexpr Nanoseconds now = 1000 * second;
using Outcome = RateTable::Outcome;

std::span<const std::uint8_t> octets(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// The vectors of the algorithm's authors, by key 00 01 ... 0f.
TEST(KeyedHash, IsSipHash) {
  constexpr HashKey key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  std::array<std::uint8_t, 15> message{};
  std::iota(message.begin(), message.end(), std::uint8_t{0});
  EXPECT_EQ(keyed_hash(key, {}), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(keyed_hash(key, std::span(message).first(1)), 0x74f839c593dc67fdU);
  EXPECT_EQ(keyed_hash(key, std::span(message).first(8)), 0x93f5f5799a932462U);
  EXPECT_EQ(keyed_hash(key, message), 0xa129ca6149be45e5U);
}

TEST(RateTable, EachClientHasItsOwnBucket) {
  RateTable table(8);
  const Rate rate{second, 2};
  const auto one = table.name_of(octets("one"));
  const auto other = table.name_of(octets("other"));
  EXPECT_EQ(table.ask(one, rate, now).outcome, Outcome::admitted);
  EXPECT_EQ(table.ask(one, rate, now).outcome, Outcome::admitted);
  const auto refused = table.ask(one, rate, now);
  EXPECT_EQ(refused.outcome, Outcome::refused);
  EXPECT_EQ(refused.wait, second);
  EXPECT_EQ(table.ask(other, rate, now).outcome, Outcome::admitted);
  EXPECT_EQ(table.ask(one, rate, now + second).outcome, Outcome::admitted);
}

TEST(RateTable, TheHashIsAnotherOneEachTime) {
  EXPECT_NE(RateTable(1).name_of(octets("one")), RateTable(1).name_of(octets("one")));
}

TEST(RateTable, WhoFindsNoRoomIsLetThrough) {
  RateTable table(1);  // eight entries
  const Rate rate{second, 1};
  for (std::uint64_t name = 1; name <= 8; ++name) {
    EXPECT_EQ(table.ask(name, rate, now).outcome, Outcome::admitted);
  }
  EXPECT_EQ(table.ask(9, rate, now).outcome, Outcome::no_room);
  for (std::uint64_t name = 1; name <= 8; ++name) {
    EXPECT_EQ(table.ask(name, rate, now).outcome, Outcome::refused) << "and takes nobody's place";
  }
  // All are as good as new then.
  for (std::uint64_t name = 11; name <= 18; ++name) {
    EXPECT_EQ(table.ask(name, rate, now + second).outcome, Outcome::admitted) << name;
    EXPECT_EQ(table.ask(name, rate, now + second).outcome, Outcome::refused) << name;
  }
  EXPECT_EQ(table.ask(1, rate, now + second).outcome, Outcome::no_room);
}

TEST(RateTable, ThreadsTogetherGetWhatOneWould) {
  RateTable table(8);
  constexpr std::uint64_t burst = 1000;
  const Rate rate{second, burst};
  std::atomic<std::uint64_t> admitted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int asked = 0; asked < 2000; ++asked) {
        admitted += table.ask(5, rate, now).outcome == Outcome::admitted ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(admitted, burst);
}

// More clients than entries, whose buckets are full again at once: entries change hands all the
// time. What one is charged for another is given back, but for that moment: of those who ask here,
// which no real clients are so close for, one or two in a hundred are refused for that.
TEST(RateTable, EntriesThatChangeHandsBetweenThreadsLoseNothing) {
  RateTable table(1);
  const Rate rate{1, 1};
  std::atomic<Nanoseconds> clock{now};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (std::uint64_t asked = 0; asked < 20'000; ++asked) {
        const std::uint64_t name = 1 + i + 4 * (asked % 5);  // of this thread alone
        refused += table.ask(name, rate, clock += 2).outcome == Outcome::refused ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LT(refused, 80'000 / 10);
  const Rate slow{second, 3};
  const Nanoseconds later = clock + 10 * second;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(table.ask(99, slow, later).outcome, Outcome::admitted);
  EXPECT_EQ(table.ask(99, slow, later).outcome, Outcome::refused);
}

TEST(RateTable, IsSharedByForks) {
  RateTable table(8);
  const Rate rate{second, 2};
  const auto name = table.name_of(octets("one"));
  const pid_t child = ::fork();
  if (child == 0) {
    const bool same = table.name_of(octets("one")) == name;
    const auto answer = table.ask(name, rate, now);
    ::_exit(same && answer.outcome == Outcome::admitted ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(table.ask(name, rate, now).outcome, Outcome::admitted);
  EXPECT_EQ(table.ask(name, rate, now).outcome, Outcome::refused);
}

}  // namespace
}  // namespace prowingen::limits
