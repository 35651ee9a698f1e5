// What a shared cache makes of Cache-Control, also of one that is written oddly.
#include "response_cache/cache_control.h"

#include <gtest/gtest.h>

namespace prowingen::response_cache {
namespace {

using std::chrono::seconds;

CacheControl read(std::initializer_list<std::string_view> lines) {
  CacheControl control;
  for (const auto line : lines) control.read(line);
  return control;
}

TEST(CacheControl, DirectivesAreReadFromAllLines) {
  const auto control = read({"public, S-MaxAge=60", "stale-while-revalidate=\"30\" , no-store"});
  EXPECT_FALSE(control.malformed);
  EXPECT_EQ(control.s_maxage, seconds(60));
  EXPECT_EQ(control.stale_while_revalidate, seconds(30));
  EXPECT_TRUE(control.no_store);
  EXPECT_FALSE(control.no_cache || control.is_private || control.must_revalidate);
}

TEST(CacheControl, ADirectiveOfSomeFieldsIsOneOfAll) {
  const auto control = read({R"(private="a, b", no-cache="set-cookie")"});
  EXPECT_FALSE(control.malformed);
  EXPECT_TRUE(control.is_private && control.no_cache);
}

TEST(CacheControl, RevalidationHasTwoNames) {
  EXPECT_TRUE(read({"must-revalidate"}).must_revalidate);
  EXPECT_TRUE(read({"Proxy-Revalidate"}).must_revalidate);
}

TEST(CacheControl, WhatIsQuotedIsNoDirective) {
  const auto control = read({R"(x="s-maxage=9, \", no-store", y=z)"});
  EXPECT_FALSE(control.malformed || control.no_store || control.s_maxage);
}

TEST(CacheControl, EmptyMembersAreNothing) {
  for (const auto* const text : {"", " ", ",", " , ,s-maxage=1,, "}) {
    EXPECT_FALSE(read({text}).malformed) << text;
  }
}

TEST(CacheControl, WhatCannotBeReadIsSaidToBeSo) {
  for (const auto* const text :
       {"s-maxage", "s-maxage=", "s-maxage=x", "s-maxage=-1", "s-maxage=1.5", "s-maxage=\"1",
        "s-maxage =1", "s-maxage= 1", "s-maxage=1 2", "s-maxage=1; x", "=1", "a b", "x=\"\\\"",
        "s-maxage=1, s-maxage=2", "stale-while-revalidate=x", "\"s-maxage=1\""}) {
    EXPECT_TRUE(read({text}).malformed) << text;
  }
  EXPECT_TRUE(read({"s-maxage=1", "s-maxage=2"}).malformed);
  EXPECT_FALSE(read({"s-maxage=1", "s-maxage=1"}).malformed) << "they agree";
}

TEST(CacheControl, MoreSecondsThanThereAreAreMany) {
  EXPECT_EQ(parse_delta_seconds("99999999999999999999999999"), seconds(std::int64_t{1} << 31));
  EXPECT_EQ(parse_delta_seconds("007"), seconds(7));
  EXPECT_FALSE(parse_delta_seconds("") || parse_delta_seconds("+1") || parse_delta_seconds(" 1"));
}

}  // namespace
}  // namespace prowingen::response_cache
