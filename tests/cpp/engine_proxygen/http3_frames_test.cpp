#include "engine_proxygen/http3_frames.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace prowingen::proxygen_engine {
namespace {

using Frames = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
using namespace std::string_literals;

Frames walk(FrameWalk& walk, std::string_view bytes, std::size_t piece) {
  Frames seen;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    walk.read(bytes.substr(0, piece),
              [&](std::uint64_t type, std::uint64_t size) { seen.emplace_back(type, size); });
  }
  return seen;
}

TEST(FrameWalk, SeesFramesHoweverTheyArrive) {
  const auto bytes =
      "\x01\x03"
      "abc\x00\x00\x40\x21\x80\x00\x00\x02xy\x00\x01z"s;
  const Frames expected{{1, 3}, {0, 0}, {0x21, 2}, {0, 1}};
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    FrameWalk frames;
    EXPECT_EQ(walk(frames, bytes, piece), expected) << piece;
    EXPECT_EQ(frames.unfinished(), 0U) << piece;
  }
}

TEST(FrameWalk, KnowsWhatAFrameThatIsNotWholeHolds) {
  FrameWalk frames;
  walk(frames, "\x01\x40\x64partial"s, 1);
  EXPECT_EQ(frames.unfinished(), 10U);
  walk(frames, std::string(93, 'x'), 10);
  EXPECT_EQ(frames.unfinished(), 0U);
}

TEST(FrameWalk, ContentIsHeldByNobody) {
  FrameWalk frames;
  walk(frames, "\x00\x40\x64partial"s, 100);
  EXPECT_EQ(frames.unfinished(), 0U);
}

TEST(FrameWalk, ReadsTheLongestLength) {
  FrameWalk frames;
  const Frames expected{{1, (std::uint64_t{1} << 62U) - 1}};
  EXPECT_EQ(walk(frames, "\x01\xff\xff\xff\xff\xff\xff\xff\xff"s, 1), expected);
}

}  // namespace
}  // namespace prowingen::proxygen_engine
