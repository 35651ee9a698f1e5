#include "websocket/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace prowingen::websocket {
namespace {

/// As RFC 3629 has it: the character of a code point, or what would be one.
std::string encode(unsigned point, int octets) {
  std::string text;
  if (octets == 1) return {static_cast<char>(point)};
  constexpr unsigned marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
  text.push_back(static_cast<char>(marks[octets] | point >> (6 * (octets - 1))));
  for (int at = octets - 1; at-- > 0;) {
    text.push_back(static_cast<char>(0x80 | (point >> (6 * at) & 0x3F)));
  }
  return text;
}

int shortest(unsigned point) {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

TEST(Utf8, IsEveryCodePointInItsShortestFormAndNothingElse) {
  for (unsigned point = 0; point < 0x200000; ++point) {
    const bool is_character = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    for (int octets = shortest(point); octets <= 4; ++octets) {
      const bool valid = is_character && octets == shortest(point);
      if (point > 0xFFFF && octets < 4) continue;
      ASSERT_EQ(is_utf8(encode(point, octets)), valid) << point << " in " << octets;
    }
  }
}

TEST(Utf8, MayBeCutAnywhereAndIsRefusedAtTheFirstOctetThatCannotBe) {
  const std::string text = "abcdefgh\xC5\xBE\xE2\x82\xAC\xF0\x9F\x90\x8Exyz";
  for (std::size_t at = 0; at <= text.size(); ++at) {
    Utf8Check check;
    EXPECT_TRUE(check.add(text.substr(0, at)));
    EXPECT_TRUE(check.add(text.substr(at)));
    EXPECT_TRUE(check.at_boundary());
  }
  for (const char* wrong : {"\x80", "\xC0", "\xC1", "\xF5", "\xFF", "\xE0\x9F", "\xED\xA0",
                            "\xF0\x8F", "\xF4\x90", "\xC5x", "\xE2\x82\xFF"}) {
    Utf8Check check;
    EXPECT_FALSE(check.add(wrong));
  }
  Utf8Check check;
  EXPECT_TRUE(check.add("\xF0\x9F\x90"));
  EXPECT_FALSE(check.at_boundary());
}

}  // namespace
}  // namespace prowingen::websocket
