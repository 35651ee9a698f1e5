// Which requests and answers a shared cache has to do with, and for how long an answer is good.
#include "response_cache/storability.h"

#include <gtest/gtest.h>

#include "http/date.h"
#include "response_cache/exchanges.h"

namespace prowingen::response_cache {
namespace {

using std::chrono::seconds;

constexpr std::time_t now = 1'700'000'000;

std::optional<Lifetime> lifetime(Fields fields, int status = 200) {
  ResponseHead head;
  head.status = status;
  for (const auto& [name, value] : fields) head.add_field(name, value);
  return lifetime_of(head, now);
}

TEST(Lifetime, IsWhatTheApplicationSays) {
  const auto found =
      lifetime({{"cache-control", "s-maxage=60, max-age=5, stale-while-revalidate=30"}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->fresh, seconds(60));
  EXPECT_EQ(found->stale, seconds(30));
  EXPECT_EQ(found->age, seconds(0));
}

TEST(Lifetime, AnAnswerMayBeOldWhenItComes) {
  const auto before = http_date(now - 20);
  EXPECT_EQ(lifetime({{"Cache-Control", "s-maxage=60"}, {"Date", before}})->age, seconds(20));
  EXPECT_EQ(lifetime({{"Cache-Control", "s-maxage=60"}, {"Date", before}, {"Age", "30"}})->age,
            seconds(30));
  EXPECT_EQ(lifetime({{"Cache-Control", "s-maxage=60"}, {"Date", http_date(now + 99)}})->age,
            seconds(0));
  EXPECT_FALSE(lifetime({{"Cache-Control", "s-maxage=20"}, {"Date", before}}));
  EXPECT_FALSE(lifetime({{"Cache-Control", "s-maxage=60"}, {"Age", "1"}, {"Age", "2"}}));
  EXPECT_FALSE(lifetime({{"Cache-Control", "s-maxage=60"}, {"Age", "soon"}}));
  EXPECT_FALSE(lifetime({{"Cache-Control", "s-maxage=60"}, {"Date", "yesterday"}}));
}

TEST(Lifetime, WhoHasToBeAskedIs) {
  const auto found =
      lifetime({{"Cache-Control", "s-maxage=60, stale-while-revalidate=30, must-revalidate"}});
  EXPECT_EQ(found->stale, seconds(0));
}

TEST(Lifetime, WhatIsNotMarkedHasNone) {
  EXPECT_FALSE(lifetime({}));
  EXPECT_FALSE(lifetime({{"Cache-Control", "public, max-age=60"}}));
  EXPECT_FALSE(lifetime({{"Expires", http_date(now + 60)}}));
  EXPECT_FALSE(lifetime({{"Cache-Control", "s-maxage=60"}, {"Set-Cookie", "a"}}));
  EXPECT_FALSE(lifetime({{"Cache-Control", "s-maxage=60"}, {"trailer", "a"}}));
  EXPECT_FALSE(lifetime({{"Cache-Control", "s-maxage=60"}, {"Cache-Control", "no-store"}}));
  for (const int status : {206, 302, 304, 500}) {
    EXPECT_FALSE(lifetime({{"Cache-Control", "s-maxage=60"}}, status)) << status;
  }
}

TEST(RequestFit, OnlyPlainReadingIs) {
  EXPECT_TRUE(fit_of(*request("/")).may_be_answered && fit_of(*request("/")).may_be_kept);
  const auto head = fit_of(*request("/", {}, "HEAD"));
  EXPECT_TRUE(head.may_be_answered && !head.may_be_kept);
  for (const auto* const method : {"POST", "OPTIONS", "get", "CONNECT"}) {
    EXPECT_FALSE(fit_of(*request("/", {}, method)).may_be_answered) << method;
  }
  for (const auto* const field : {"range", "If-Match", "If-Unmodified-Since"}) {
    const auto fit = fit_of(*request("/", {{field, "x"}}));
    EXPECT_FALSE(fit.may_be_answered || fit.may_be_kept) << field;
  }
  const auto no_store = fit_of(*request("/", {{"cache-control", "max-age=0, No-Store"}}));
  EXPECT_TRUE(no_store.may_be_answered && !no_store.may_be_kept);
  EXPECT_FALSE(fit_of(*request("http://test/")).may_be_answered);

  const auto with_body = request("/");
  with_body->has_body = true;
  EXPECT_FALSE(fit_of(*with_body).may_be_answered);
  const auto upgrade = request("/");
  upgrade->may_upgrade = true;
  EXPECT_FALSE(fit_of(*upgrade).may_be_answered);
}

TEST(RequestFit, WhatIsNotKnownMayChangeSomething) {
  EXPECT_TRUE(is_safe("GET") && is_safe("HEAD") && is_safe("OPTIONS") && is_safe("TRACE"));
  EXPECT_FALSE(is_safe("POST") || is_safe("get") || is_safe("BREW"));
}

}  // namespace
}  // namespace prowingen::response_cache
