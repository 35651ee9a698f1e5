// How often: reading a rate, and the arithmetic of a bucket.
#include "limits/rate.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace prowingen::limits {
namespace {

constexpr Nanoseconds second = 1'000'000'000;

TEST(Rate, IsRead) {
  EXPECT_EQ(parse_rate("100/s"), (Rate{second / 100, 100}));
  EXPECT_EQ(parse_rate("600/m"), (Rate{second / 10, 600}));
  EXPECT_EQ(parse_rate("3600/h"), (Rate{second, 3600}));
  EXPECT_EQ(parse_rate("5/m burst 1"), (Rate{12 * second, 1}));
  EXPECT_EQ(parse_rate("1000000/s burst 1000000"), (Rate{1000, 1'000'000}));
  EXPECT_FALSE(parse_rate("off").is_limit());
}

TEST(Rate, WhatIsNoneIsRefused) {
  for (const char* text : {"",
                           "off ",
                           "100",
                           "100/",
                           "/s",
                           "100/d",
                           "100/S",
                           "0/s",
                           "-1/s",
                           "+1/s",
                           "1.5/s",
                           "1e3/s",
                           "1000001/s",
                           "99999999999999999999/s",
                           " 1/s",
                           "1/s ",
                           "1/s burst",
                           "1/s burst ",
                           "1/s burst 0",
                           "1/s burst 1000001",
                           "1/s burst 2 ",
                           "1/s  burst 2",
                           "1/sburst 2",
                           "1/s Burst 2",
                           "1/s burst -2"}) {
    EXPECT_THROW(parse_rate(text), std::invalid_argument) << text;
  }
}

TEST(Bucket, OfOneWhoPausedHasTheBurst) {
  const Rate rate = parse_rate("10/s burst 3");
  Nanoseconds full_at = 0;
  const Nanoseconds now = 100 * second;
  for (int i = 0; i < 3; ++i) {
    const auto verdict = judge(rate, full_at, now);
    ASSERT_TRUE(verdict.admitted) << i;
    full_at = verdict.full_at;
  }
  const auto refused = judge(rate, full_at, now);
  EXPECT_FALSE(refused.admitted);
  EXPECT_EQ(refused.full_at, full_at) << "it costs nothing";
  EXPECT_EQ(refused.wait, second / 10);
  EXPECT_FALSE(judge(rate, full_at, now + refused.wait - 1).admitted);
  EXPECT_TRUE(judge(rate, full_at, now + refused.wait).admitted);
}

TEST(Bucket, InTheLongRunTheRateHolds) {
  for (const char* text : {"7/s", "100/s burst 1", "90/m burst 5", "3000/s burst 10"}) {
    const Rate rate = parse_rate(text);
    Nanoseconds full_at = 0;
    std::uint64_t admitted = 0;
    constexpr Nanoseconds time = 100 * second;
    for (Nanoseconds now = second; now < second + time; now += second / 10'000) {
      const auto verdict = judge(rate, full_at, now);
      if (!verdict.admitted) continue;
      full_at = verdict.full_at;
      ++admitted;
    }
    const auto wanted = time / rate.interval + rate.burst;
    EXPECT_LE(admitted, wanted + 1) << text;
    EXPECT_GE(admitted, wanted - 1) << text;
  }
}

TEST(Bucket, TheLargestDoesNotOverflow) {
  const Rate rate = parse_rate("1/h burst 1000000");
  const Nanoseconds now = 400ULL * 365 * 86400 * second / 10;  // a machine up for forty years
  Nanoseconds full_at = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const auto verdict = judge(rate, full_at, now);
    ASSERT_TRUE(verdict.admitted) << i;
    full_at = verdict.full_at;
  }
  EXPECT_FALSE(judge(rate, full_at, now).admitted);
}

}  // namespace
}  // namespace prowingen::limits
