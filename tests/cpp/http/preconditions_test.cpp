#include "http/preconditions.h"

#include <gtest/gtest.h>

#include "http/date.h"

#include <initializer_list>
#include <utility>

namespace prowingen {
namespace {

constexpr Validators current{"\"now\"", 784111777};
constexpr const char* same_time = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr const char* before = "Sun, 06 Nov 1994 08:49:36 GMT";

RequestHead with(std::initializer_list<std::pair<const char*, const char*>> fields) {
  RequestHead head;
  for (const auto& [name, value] : fields) head.add_field(name, value);
  return head;
}

TEST(Preconditions, WithoutAnyTheyAreMet) {
  EXPECT_EQ(check_preconditions(with({}), current), Precondition::met);
}

TEST(Preconditions, AListOfTagsMayBeInSeveralLines) {
  EXPECT_EQ(check_preconditions(
                with({{"If-None-Match", "\"a\", \"b\""}, {"if-none-match", "\"now\""}}), current),
            Precondition::not_modified);
  EXPECT_EQ(
      check_preconditions(with({{"If-Match", "\"a\""}, {"If-Match", ",, \"now\" ,"}}), current),
      Precondition::met);
}

TEST(Preconditions, ATagMayHaveAComma) {
  const Validators odd{"\"a,b\"", 0};
  EXPECT_EQ(check_preconditions(with({{"If-None-Match", "\"x\",\"a,b\""}}), odd),
            Precondition::not_modified);
  EXPECT_EQ(check_preconditions(with({{"If-None-Match", "\"a\",\"b\""}}), odd), Precondition::met);
}

TEST(Preconditions, BehindAMistakeNothingIsRead) {
  EXPECT_EQ(check_preconditions(with({{"If-None-Match", "now, \"now\""}}), current),
            Precondition::met);
  EXPECT_EQ(check_preconditions(with({{"If-None-Match", "\"now"}}), current), Precondition::met);
}

TEST(Preconditions, TagsGoBeforeDates) {
  EXPECT_EQ(check_preconditions(
                with({{"If-None-Match", "\"x\""}, {"If-Modified-Since", same_time}}), current),
            Precondition::met);
  EXPECT_EQ(check_preconditions(with({{"If-Match", "\"now\""}, {"If-Unmodified-Since", before}}),
                                current),
            Precondition::met);
}

TEST(Preconditions, WhatFailsIsNotAlsoUnmodified) {
  EXPECT_EQ(
      check_preconditions(with({{"If-Match", "\"x\""}, {"If-None-Match", "\"now\""}}), current),
      Precondition::failed);
  EXPECT_EQ(
      check_preconditions(with({{"If-Match", "\"now\""}, {"If-None-Match", "\"now\""}}), current),
      Precondition::not_modified);
}

TEST(Preconditions, ADateThatCameTwiceIsNone) {
  EXPECT_EQ(
      check_preconditions(
          with({{"If-Modified-Since", same_time}, {"If-Modified-Since", same_time}}), current),
      Precondition::met);
}

TEST(Preconditions, ARangeIsOfJustThisRepresentation) {
  EXPECT_TRUE(may_send_range(with({}), current));
  EXPECT_TRUE(may_send_range(with({{"If-Range", "\"now\""}}), current));
  EXPECT_TRUE(may_send_range(with({{"If-Range", same_time}}), current));
  EXPECT_FALSE(may_send_range(with({{"If-Range", "W/\"now\""}}), current));
  EXPECT_FALSE(may_send_range(with({{"If-Range", before}}), current));
  EXPECT_FALSE(may_send_range(with({{"If-Range", "now"}}), current));
  EXPECT_FALSE(may_send_range(with({{"If-Range", ""}}), current));
  EXPECT_FALSE(may_send_range(with({{"Range", "bytes=0-1"}, {"Range", "bytes=2-3"}}), current));
  EXPECT_FALSE(may_send_range(with({{"If-Range", "\"now\""}, {"If-Range", "\"now\""}}), current));
  EXPECT_FALSE(
      may_send_range(with({{"If-Range", "\"before\""}, {"If-Range", "\"now\""}}), current));

  const Validators weak{"W/\"now\"", 0};
  EXPECT_FALSE(may_send_range(with({{"If-Range", "W/\"now\""}}), weak));
}

TEST(Preconditions, ADateIsStrongOnceItsSecondIsOver) {
  const std::time_t changed = 1'700'000'000;
  const std::string date = http_date(changed);
  const Validators validators{"\"now\"", changed};
  const auto asked = with({{"If-Range", date.c_str()}});
  EXPECT_TRUE(may_send_range(asked, validators, changed + 2));
  EXPECT_FALSE(may_send_range(asked, validators, changed + 1)) << "Date may be the same";
  EXPECT_FALSE(may_send_range(asked, validators, changed))
      << "it may change again within that second";
  EXPECT_FALSE(may_send_range(asked, validators, changed - 3)) << "it is of another clock";
  EXPECT_FALSE(may_send_range(asked, {"\"now\"", changed + 1}, changed + 9)) << "it has changed";
  EXPECT_FALSE(may_send_range(asked, {"\"now\"", changed - 1}, changed + 9))
      << "an older one is another one, too";
}

}  // namespace
}  // namespace prowingen
