#include "http/ranges.h"

#include <gtest/gtest.h>

#include <random>

namespace prowingen {
namespace {

using Kind = WantedRanges::Kind;

TEST(Ranges, AreClippedToWhatThereIs) {
  EXPECT_EQ(parse_ranges("bytes=0-9", 100).parts, (std::vector<ByteRange>{{0, 10}}));
  EXPECT_EQ(parse_ranges("bytes=90-200", 100).parts, (std::vector<ByteRange>{{90, 10}}));
  EXPECT_EQ(parse_ranges("bytes=-200", 100).parts, (std::vector<ByteRange>{{0, 100}}));
  EXPECT_EQ(parse_ranges("bytes=99-", 100).parts, (std::vector<ByteRange>{{99, 1}}));
  EXPECT_EQ(parse_ranges("bytes=18446744073709551615-", 100).kind, Kind::unsatisfiable);
  EXPECT_EQ(parse_ranges("bytes=0-18446744073709551616", 100).parts,
            (std::vector<ByteRange>{{0, 100}}));
}

TEST(Ranges, OfNothingTheWholeIsSent) {
  EXPECT_EQ(parse_ranges("bytes=0-", 0).kind, Kind::whole);
  EXPECT_EQ(parse_ranges("bytes=-1", 0).kind, Kind::whole);
  EXPECT_EQ(parse_ranges("bytes=-0", 100).kind, Kind::unsatisfiable);
}

TEST(Ranges, MoreThanTheWholeIsTheWhole) {
  EXPECT_EQ(parse_ranges("bytes=0-99,0-0", 100).kind, Kind::whole);
  EXPECT_EQ(parse_ranges("bytes=0-49,50-99", 100).kind, Kind::parts);
}

TEST(Ranges, AreWrittenAsTheyAre) {
  EXPECT_EQ(content_range({0, 10}, 100), "bytes 0-9/100");
  EXPECT_EQ(content_range({99, 1}, 100), "bytes 99-99/100");
}

TEST(RangesFuzz, WhatComesIsWithinWhatThereIs) {
  std::mt19937 random(20'251);
  constexpr std::string_view letters = "0123456789-,= \tbytes";
  for (int round = 0; round < 200'000; ++round) {
    std::string value = random() % 4 == 0 ? "" : "bytes=";
    for (auto left = random() % 24; left > 0; --left) value += letters[random() % letters.size()];
    const std::uint64_t size = random() % 3 == 0 ? 0 : random() % 1000;
    const auto wanted = parse_ranges(value, size);
    EXPECT_EQ(wanted.parts.empty(), wanted.kind != Kind::parts) << value;
    std::uint64_t sum = 0;
    for (const auto& [first, length] : wanted.parts) {
      ASSERT_GT(length, 0U) << value;
      ASSERT_LE(first + length, size) << value;
      sum += length;
    }
    ASSERT_LE(sum, size) << value;
  }
}

}  // namespace
}  // namespace prowingen
