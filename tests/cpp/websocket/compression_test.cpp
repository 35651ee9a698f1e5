#include "websocket/compression.h"

#include <gtest/gtest.h>

#include <string>

namespace prowingen::websocket {
namespace {

constexpr std::size_t plenty = std::size_t{1} << 24;

std::string inflate_whole(Inflater& inflater, std::string_view packed, std::size_t piece) {
  std::string out;
  for (std::size_t at = 0; at < packed.size(); at += piece) {
    EXPECT_EQ(inflater.add(packed.substr(at, piece), out, plenty), Inflater::Outcome::ok);
  }
  EXPECT_EQ(inflater.finish(out, plenty), Inflater::Outcome::ok);
  return out;
}

TEST(Compression, IsUndoneHoweverItIsCut) {
  Inflater inflater(15, false);
  for (const int window : {9, 12, 15}) {
    Deflater deflater(window, false);
    for (const std::string& message :
         {std::string(), std::string("x"), std::string(100'000, 'y')}) {
      const std::string packed = deflater.compress(message);
      for (const std::size_t piece : {1, 7, 100'000}) {
        EXPECT_EQ(inflate_whole(inflater, packed, piece), message);
      }
    }
  }
}

TEST(Compression, OfNothingIsOneEmptyBlock) {
  Deflater alone(15, false);
  EXPECT_EQ(alone.compress(""), std::string(1, '\0'));
  Deflater keeps(15, true);
  EXPECT_EQ(keeps.compress(""), std::string(1, '\0'));
  EXPECT_EQ(keeps.compress(""), std::string(1, '\0'));
}

TEST(Compression, RefersToWhatCameBeforeWhereThatIsKept) {
  Deflater deflater(15, true);
  Inflater inflater(15, true);
  std::string message;
  for (int i = 0; i < 500; ++i) message.push_back(static_cast<char>(i * i));
  const auto first = deflater.compress(message);
  const auto second = deflater.compress(message);
  EXPECT_LT(second.size(), first.size() / 4);
  EXPECT_EQ(inflate_whole(inflater, first, 3), message);
  EXPECT_EQ(inflate_whole(inflater, second, 3), message);
}

TEST(Compression, MayEndInALastBlock) {
  // RFC 7692 section 7.2.3.4: "Hello" with BFINAL, and another block behind it.
  Inflater inflater(15, false);
  EXPECT_EQ(inflate_whole(inflater, std::string("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8), 1),
            "Hello");
  EXPECT_EQ(inflate_whole(inflater, std::string("\xf3\x48\xcd\xc9\xc9\x07\x00", 7), 7), "Hello");
  EXPECT_EQ(inflate_whole(inflater, std::string("\xf2\x48\xcd\xc9\xc9\x07\x00", 7), 7), "Hello");
}

TEST(Compression, StopsAtTheBound) {
  Deflater deflater(15, false);
  const auto packed = deflater.compress(std::string(1'000'000, '\0'));
  Inflater inflater(15, false);
  std::string out;
  EXPECT_EQ(inflater.add(packed, out, 50'000), Inflater::Outcome::too_large);
  EXPECT_LE(out.size(), 50'000U);
}

TEST(Compression, ThatIsNoneIsTold) {
  Inflater inflater(15, false);
  std::string out;
  EXPECT_EQ(inflater.add("\xFF\xFF\xFF\xFF", out, plenty), Inflater::Outcome::malformed);
}

TEST(Compression, OfALeaseThatIsGivenUpLeavesNothing) {
  std::string out;
  {
    InflaterLease lease;
    lease.get().add("\xf2\x48", out, plenty);
  }
  InflaterLease lease;
  EXPECT_EQ(inflate_whole(lease.get(), compress_alone("other", 15), 2), "other");
}

}  // namespace
}  // namespace prowingen::websocket
