// What processes do, as others see it: whole or not at all, and for as long as it is true.
#include "processes/activity.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>

namespace prowingen {
namespace {

using namespace std::chrono_literals;

const Activity::Time now = std::chrono::steady_clock::now();

Activity::Row row(std::string request, std::uint64_t thread = 7) {
  return {WorkerState::running, thread, now - 2s, now + 1s, std::move(request), "::1"};
}

Activity::Slow slow(std::chrono::nanoseconds took, Activity::Time ended = now) {
  return {ended, 1234, took, 1ms, 200, true, "GET / HTTP/1.1"};
}

TEST(Activity, WhatIsWrittenIsReadUntilItIsOld) {
  Activity activity(2);
  const std::vector rows{row("GET /a HTTP/1.1"),
                         {WorkerState::stuck, ~0ULL, now - 1h, std::nullopt, "", ""}};
  EXPECT_TRUE(activity.rows(0, now).empty());
  activity.write(rows, now);
  EXPECT_EQ(activity.rows(0, now), rows);
  EXPECT_EQ(activity.rows(0, now + Activity::row_lasts), rows);
  EXPECT_TRUE(activity.rows(0, now + Activity::row_lasts + 1ns).empty());
  EXPECT_TRUE(activity.rows(1, now).empty());
  activity.write({}, now);
  EXPECT_TRUE(activity.rows(0, now).empty());
}

TEST(Activity, ThereIsRoomForSomeRowsAndSomeOfALine) {
  Activity activity(1);
  const std::string longest(Activity::line_size, 'x');
  auto long_one = row(longest + "yz");
  long_one.client = std::string(Activity::client_size, 'c') + "d";
  activity.write(std::vector(Activity::rows_of_process + 5, long_one), now);
  const auto rows = activity.rows(0, now);
  ASSERT_EQ(rows.size(), Activity::rows_of_process);
  EXPECT_EQ(rows.back().request, longest);
  EXPECT_EQ(rows.back().client, std::string(Activity::client_size, 'c'));
}

TEST(Activity, ItIsKnownSinceWhenItIsSo) {
  Activity activity(2);
  EXPECT_FALSE(activity.is_written_since(0, now));
  activity.write({}, now);
  EXPECT_TRUE(activity.is_written_since(0, now));
  EXPECT_FALSE(activity.is_written_since(0, now + 1ns));
  EXPECT_FALSE(activity.is_written_since(1, now));
  activity.clear(0);
  EXPECT_FALSE(activity.is_written_since(0, now));
}

TEST(Activity, AWatchEndsByItself) {
  Activity activity(1);
  EXPECT_FALSE(activity.is_watched(now));
  activity.watch(now);
  EXPECT_TRUE(activity.is_watched(now + Activity::watch_lasts - 1ns));
  EXPECT_FALSE(activity.is_watched(now + Activity::watch_lasts));
}

TEST(Activity, WhoTakesASlotIsNotTakenForTheOneBefore) {
  Activity activity(1);
  activity.write(std::vector{row("GET / HTTP/1.1")}, now);
  activity.clear(0);
  EXPECT_TRUE(activity.rows(0, now).empty());
}

TEST(Activity, ReadersSeeWholeRows) {
  Activity activity(1);
  std::atomic<bool> over = false;
  std::thread writer([&] {
    for (std::uint64_t count = 1; !over; ++count) {
      const auto size = 1 + count % Activity::line_size;
      const auto letter = static_cast<char>('a' + count % 26);
      activity.write(std::vector{row(std::string(size, letter), count)}, now);
    }
  });
  std::uint64_t seen = 0;
  for (std::uint64_t before = 0; seen < 2'000;) {
    for (const auto& each : activity.rows(0, now)) {
      EXPECT_GE(each.thread, before);
      before = each.thread;
      ++seen;
      const std::string whole(1 + each.thread % Activity::line_size,
                              static_cast<char>('a' + each.thread % 26));
      ASSERT_EQ(each.request, whole);
    }
  }
  over = true;
  writer.join();
}

TEST(Activity, OneThatIsKilledInTheMiddleHoldsNobodyUp) {
  Activity activity(2);
  for (int round = 0; round < 10; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      activity.set_process(1);
      for (std::uint64_t count = 0;; ++count) {
        activity.write(std::vector(64, row(std::string(190, 'x'), count)), now);
        activity.note_slow(slow(std::chrono::nanoseconds(count)));
      }
    }
    while (activity.rows(1, now).empty()) std::this_thread::yield();
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (const auto& each : activity.rows(1, now)) EXPECT_EQ(each.request, std::string(190, 'x'));
    activity.clear(1);
    // Who comes next can write all the same.
    activity.set_process(1);
    activity.write(std::vector(64, row("GET / HTTP/1.1", 3)), now);
    EXPECT_EQ(activity.rows(1, now).size(), 64U);
    activity.clear(1);
  }
}

TEST(SlowRequests, TheSlowestOfAMinuteAreKept) {
  Activity activity(1);
  for (int i = 1; i <= 20; ++i) {
    const auto took = std::chrono::milliseconds(i);
    EXPECT_TRUE(activity.is_slow(took, now)) << i;
    activity.note_slow(slow(took));
  }
  const auto kept = activity.slowest(1, now);
  ASSERT_EQ(kept.size(), Activity::slow_of_process);
  EXPECT_EQ(kept.front(), slow(20ms));
  EXPECT_EQ(kept.back(), slow(5ms));
  EXPECT_FALSE(activity.is_slow(5ms, now)) << "it is no slower than what is kept";
  EXPECT_TRUE(activity.is_slow(5ms + 1ns, now));
  EXPECT_EQ(activity.slowest(1, now + Activity::slow_for).size(), Activity::slow_of_process);
  EXPECT_TRUE(activity.slowest(1, now + Activity::slow_for + 1ns).empty());
  EXPECT_TRUE(activity.slowest(0, now).empty());
}

TEST(SlowRequests, AMinuteLaterAQuickOneIsTheSlowest) {
  Activity activity(1);
  for (int i = 0; i < 20; ++i) activity.note_slow(slow(1h));
  const auto later = now + Activity::slow_for + 1ns;
  EXPECT_FALSE(activity.is_slow(1ms, later - 1ns));
  ASSERT_TRUE(activity.is_slow(1ms, later));
  activity.note_slow(slow(1ms, later));
  const auto kept = activity.slowest(1, later);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].took, 1ms);
}

TEST(SlowRequests, WhatWasSlowOutlivesItsProcess) {
  Activity activity(2);
  activity.set_process(1);
  for (int i = 0; i < 16; ++i) activity.note_slow(slow(1s + std::chrono::milliseconds(i)));
  activity.clear(1);
  Activity::Time later = now + 1s;
  activity.set_process(1);  // as the next one does
  activity.note_slow(slow(500ms, later));
  const auto kept = activity.slowest(2, later);
  ASSERT_EQ(kept.size(), 16U);
  EXPECT_EQ(kept.back().took, 1s);
}

}  // namespace
}  // namespace prowingen
