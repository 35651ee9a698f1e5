#include "http/content_coding.h"

#include <gtest/gtest.h>

#include <array>

namespace prowingen {
namespace {

constexpr std::array<std::string_view, 2> available{"br", "gzip"};

std::string chosen(std::initializer_list<const char*> values) {
  RequestHead head;
  for (const char* value : values) head.add_field("Accept-Encoding", value);
  const auto index = choose_coding(head, available);
  return index ? std::string(available[*index]) : "none";
}

TEST(ContentCoding, TheOneWithTheHighestWeightIsTaken) {
  EXPECT_EQ(chosen({"gzip;q=0.8, br;q=0.7"}), "gzip");
  EXPECT_EQ(chosen({"gzip;q=0.701,br;q=0.7"}), "gzip");
  EXPECT_EQ(chosen({"gzip ; Q=1.000 , br ; q=0.999"}), "gzip");
  EXPECT_EQ(chosen({"gzip", "br"}), "br") << "as good, and ours to choose";
}

TEST(ContentCoding, WithoutAFieldThereIsNone) { EXPECT_EQ(chosen({}), "none"); }

TEST(ContentCoding, WhatIsNamedIsNotTheAsterisks) {
  EXPECT_EQ(chosen({"*;q=1, br;q=0"}), "gzip");
  EXPECT_EQ(chosen({"*;q=0, gzip"}), "gzip");
  EXPECT_EQ(chosen({"*;q=0"}), "none");
}

TEST(ContentCoding, TheRepresentationAsItIsMayBeLikedBetter) {
  EXPECT_EQ(chosen({"identity, gzip;q=0.5"}), "none");
  EXPECT_EQ(chosen({"identity;q=0.5, gzip;q=0.5"}), "gzip");
}

TEST(ContentCoding, AWeightThatIsNoneIsNoConsent) {
  for (const char* value : {"gzip;q=", "gzip;q=1.1", "gzip;q=0.1234", "gzip;q=.5", "gzip;q=-1",
                            "gzip;q=1x", "gzip;q=0.", "gzip;q=0"}) {
    EXPECT_EQ(chosen({value}), "none") << value;
  }
}

TEST(ContentCoding, OddListsAreRead) {
  EXPECT_EQ(chosen({",,gzip,,"}), "gzip");
  EXPECT_EQ(chosen({"gzip;x=1;q=0.5"}), "gzip");
  EXPECT_EQ(chosen({"gzipped, brotli"}), "none");
  EXPECT_EQ(chosen({";;;"}), "none");
}

}  // namespace
}  // namespace prowingen
