// Host and the authority of the target URI.
#include <gtest/gtest.h>

#include <initializer_list>
#include <string_view>
#include <tuple>

#include "http/request_policy.h"
#include "http/verdicts.h"

namespace prowingen {
namespace {

using namespace std::literals;
using enum RequestFault;

Verdict with_hosts(HttpVersion version, std::initializer_list<std::string_view> hosts,
                   std::string_view target = "/") {
  RequestHead head;
  head.set_request_line("OPTIONS", target, version);
  for (const auto host : hosts) head.add_field("hOST", host);
  RequestSemantics semantics;
  return check_header_section(head, {}, semantics);
}

TEST(Host, IsThereOnceOnHttp11) {
  EXPECT_TRUE(accepts(with_hosts(http_1_1, {"example.com:8000"})));
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {}), missing_host));
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {}, "http://a/"), missing_host));
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {}, "*"), missing_host));
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {"a", "b"}), repeated_host));
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {"a", "a"}), repeated_host));
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {"", ""}), repeated_host));
}

TEST(Host, MayBeMissingButNotRepeatedOnHttp10) {
  EXPECT_TRUE(accepts(with_hosts(http_1_0, {})));
  EXPECT_TRUE(accepts(with_hosts(http_1_0, {""})));
  EXPECT_TRUE(accepts(with_hosts(http_1_0, {"a"})));
  EXPECT_TRUE(refuses(with_hosts(http_1_0, {"a", "a"}), repeated_host));
}

TEST(Host, EmptyIsRefusedUnlessTheTargetNamesTheHost) {
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {""}), missing_host));
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {" \t"}), missing_host));
  EXPECT_TRUE(refuses(with_hosts(http_1_1, {""}, "*"), missing_host));
  EXPECT_TRUE(accepts(with_hosts(http_1_1, {""}, "http://a/")));
}

TEST(Host, IsAHostWithAnOptionalPort) {
  for (const auto host : {"a"sv, " a "sv, "[::1]:8000"sv, "127.0.0.1"sv, "a:"sv}) {
    EXPECT_TRUE(accepts(with_hosts(http_1_1, {host}))) << host;
  }
  for (const auto host : {"a b"sv, "a, b"sv, "a,b"sv, "a/b"sv, "user@a"sv, "http://a"sv, ":80"sv,
                          "a:x"sv, "a:65536"sv, "[::1"sv, "::1"sv}) {
    EXPECT_TRUE(refuses(with_hosts(http_1_1, {host}), bad_host)) << host;
    EXPECT_TRUE(refuses(with_hosts(http_1_0, {host}), bad_host)) << host;
    EXPECT_TRUE(refuses(with_hosts(http_1_1, {host}, "http://a/"), bad_host)) << host;
  }
}

TEST(Host, IsOverriddenByAnAbsoluteForm) {
  for (const auto& [target, host, expected] : {
           std::tuple{"/"sv, "h:1"sv, "h:1"sv},
           {"*"sv, "h"sv, "h"sv},
           {"http://t:2/"sv, "h:1"sv, "t:2"sv},
           {"http://t?q"sv, ""sv, "t"sv},
       }) {
    RequestHead head;
    head.set_request_line("OPTIONS", target, http_1_1);
    head.add_field("Host", host);
    RequestSemantics semantics;
    EXPECT_TRUE(accepts(check_header_section(head, {}, semantics))) << target;
    EXPECT_EQ(semantics.host, expected) << target;
  }
}

}  // namespace
}  // namespace prowingen
