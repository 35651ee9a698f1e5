#include "http/field_rules.h"

#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <string_view>

#include "http/octets.h"
#include "http/verdicts.h"

namespace prowingen {
namespace {

using namespace std::literals;
using enum RequestFault;

constexpr bool unfolded = false;
constexpr bool folded = true;

bool is_tchar(unsigned c) {
  return c < 0x80 && (std::isalnum(static_cast<int>(c)) != 0 ||
                      "!#$%&'*+-.^_`|~"sv.find(static_cast<char>(c)) != std::string_view::npos);
}

TEST(FieldRules, NameIsAToken) {
  for (const auto name : {"Host"sv, "x"sv, "X-1"sv, "!#$%&'*+-.^_`|~"sv, "Content_Length"sv}) {
    EXPECT_TRUE(accepts(check_field(name, "v", unfolded))) << name;
  }
  for (const auto name : {""sv, " Host"sv, "Host "sv, "Host\t"sv, "\tHost"sv, "Ho st"sv, "Host:"sv,
                          "(a)"sv, "a\0b"sv, "a\r"sv, "a\n"sv, "na\xC3\xAFve"sv}) {
    EXPECT_TRUE(refuses(check_field(name, "v", unfolded), bad_field_name)) << name;
  }
}

TEST(FieldRules, EveryOctetOfANameIsChecked) {
  for (unsigned c = 0; c < 256; ++c) {
    for (std::size_t size = 1; size < 20; ++size) {
      for (std::size_t at = 0; at < size; ++at) {
        std::string name(size, 'a');
        name[at] = static_cast<char>(c);
        ASSERT_EQ(check_field(name, "", unfolded) == nullptr, is_tchar(c)) << c << ' ' << at;
      }
    }
  }
}

TEST(FieldRules, ValueHasNoControlCharacters) {
  for (const auto value :
       {""sv, "v"sv, "a b"sv, "a\tb"sv, "caf\xC3\xA9"sv, "\x80\xFF"sv, ":\"\\"sv, " padded \t"sv}) {
    EXPECT_TRUE(accepts(check_field("n", value, unfolded))) << value;
  }
  for (const auto value : {"\0"sv, "a\rb"sv, "a\nb"sv, "a\r\nb"sv, "\r"sv, "a\n"sv, "\x7F"sv,
                           "\x0B"sv, "chunked\x0C"sv, "plain\x07injected"sv}) {
    EXPECT_TRUE(refuses(check_field("n", value, unfolded), bad_field_value)) << value;
  }
}

// The values are scanned in blocks: each octet in each place of each remainder, alone and beside a
// tab or an octet that a borrow could disturb.
TEST(FieldRules, EveryOctetOfAValueIsChecked) {
  for (unsigned c = 0; c < 256; ++c) {
    const bool allowed = c == '\t' || (c >= 0x20 && c != 0x7F);
    for (const char filler : {'a', '\t', ' ', '\x80', '\xFF', '~'}) {
      for (std::size_t size = 1; size < 34; ++size) {
        std::string value(size, filler);
        for (std::size_t at = 0; at < size; ++at) {
          value[at] = static_cast<char>(c);
          ASSERT_EQ(is_field_value(value), allowed) << c << ' ' << at << '/' << size;
          value[at] = filler;
        }
      }
    }
  }
}

TEST(FieldRules, FoldedLinesAreRefused) {
  EXPECT_TRUE(refuses(check_field("n", "one two", folded), obs_fold));
  EXPECT_TRUE(refuses(check_trailer_field("n", "one two", folded), obs_fold));
}

TEST(FieldRules, TrailersObeyTheRulesOfFields) {
  EXPECT_TRUE(accepts(check_trailer_field("X-Checksum", "abc", unfolded)));
  EXPECT_TRUE(refuses(check_trailer_field("X Checksum", "abc", unfolded), bad_field_name));
  EXPECT_TRUE(refuses(check_trailer_field("X-Checksum", "a\nb", unfolded), bad_field_value));
}

TEST(FieldRules, TrailersThatCarryMetadataAreAccepted) {
  for (const auto name : {"Content-Digest"sv, "Content-MD5"sv, "Repr-Digest"sv, "Digest"sv,
                          "ETag"sv, "Server-Timing"sv, "grpc-status"sv, "Content"sv, "Content-"sv,
                          "Content_Length"sv, "Hosts"sv}) {
    EXPECT_TRUE(accepts(check_trailer_field(name, "v", unfolded))) << name;
    EXPECT_EQ(trailer_fit(name), TrailerFit::fits) << name;
  }
}

// They are dropped.
TEST(FieldRules, TrailersThatCameTooLateAreAccepted) {
  for (const auto name :
       {"Content-Type"sv, "Content-Encoding"sv, "Content-Range"sv, "Content-Anything"sv,
        "Cache-Control"sv, "Expect"sv, "Pragma"sv, "Range"sv, "IF-NONE-MATCH"sv, "Date"sv,
        "Expires"sv, "Location"sv, "vary"sv}) {
    EXPECT_TRUE(accepts(check_trailer_field(name, "v", unfolded))) << name;
    EXPECT_EQ(trailer_fit(name), TrailerFit::late) << name;
    EXPECT_TRUE(refuses(check_trailer_field(name, "a\nb", unfolded), bad_field_value)) << name;
  }
}

TEST(FieldRules, TrailersOfFramingRoutingAndAuthenticationAreRefused) {
  for (const auto name : {"Transfer-Encoding"sv,
                          "TRANSFER-ENCODING"sv,
                          "content-length"sv,
                          "Host"sv,
                          "Trailer"sv,
                          "TE"sv,
                          "Connection"sv,
                          "Upgrade"sv,
                          "Forwarded"sv,
                          "X-Forwarded-For"sv,
                          "x-forwarded-prefix"sv,
                          "X-Real-IP"sv,
                          "Via"sv,
                          "HTTP2-Settings"sv,
                          "Authorization"sv,
                          "Proxy-Authorization"sv,
                          "Cookie"sv,
                          "Set-Cookie"sv,
                          "WWW-Authenticate"sv,
                          "Max-Forwards"sv}) {
    EXPECT_TRUE(refuses(check_trailer_field(name, "v", unfolded), forbidden_trailer)) << name;
    EXPECT_EQ(trailer_fit(name), TrailerFit::forbidden) << name;
  }
}

}  // namespace
}  // namespace prowingen
