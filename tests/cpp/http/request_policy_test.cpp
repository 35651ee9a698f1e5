#include "http/request_policy.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>

#include "http/verdicts.h"

namespace prowingen {
namespace {

using namespace std::literals;
using enum RequestFault;

const RequestLimits default_limits;

Verdict line(std::string_view method, std::string_view target, HttpVersion version = http_1_1) {
  return check_request_line(method, target, version, default_limits);
}

// ---- the table of refusals

TEST(Refusal, EveryFaultHasAStatusATitleADetailAndASection) {
  std::set<std::string_view> details;
  for (int i = 0; i <= static_cast<int>(last_request_fault); ++i) {
    const Refusal& row = refusal(static_cast<RequestFault>(i));
    EXPECT_GE(row.status, 400);
    EXPECT_LE(row.status, 507);
    EXPECT_FALSE(row.title.empty()) << i;
    EXPECT_TRUE(row.section.starts_with("RFC ")) << i;
    EXPECT_TRUE(details.insert(row.detail).second) << row.detail;
  }
}

// ---- request line

TEST(RequestLine, MethodIsAToken) {
  for (const auto method :
       {"GET"sv, "get"sv, "M-SEARCH"sv, "UPDATEREDIRECTREF"sv, "X!#$%&'*+-."sv}) {
    EXPECT_TRUE(accepts(line(method, "/"))) << method;
  }
  for (const auto method : {""sv, "GE T"sv, "GET "sv, " GET"sv, "\r\nGET"sv, "GET:"sv, "G\0T"sv,
                            "GET\xC3\x9F"sv, "(GET)"sv, "\x16\x03\x01"sv}) {
    EXPECT_TRUE(refuses(line(method, "/"), bad_method)) << method;
  }
}

TEST(RequestLine, MethodIsBounded) {
  EXPECT_TRUE(accepts(line(std::string(max_method_size, 'A'), "/")));
  EXPECT_TRUE(refuses(line(std::string(max_method_size + 1, 'A'), "/"), method_too_long));
  EXPECT_EQ(refusal(method_too_long).status, 501);
}

TEST(RequestLine, ConnectIsNotImplementedAndCaseSensitive) {
  EXPECT_TRUE(refuses(line("CONNECT", "example.com:443"), connect_unsupported));
  EXPECT_TRUE(refuses(line("CONNECT", "/"), bad_target_form));
  EXPECT_TRUE(accepts(line("connect", "/")));
  EXPECT_EQ(refusal(connect_unsupported).status, 501);
}

TEST(RequestLine, ConnectIsAcceptedWhereItIsAskedFor) {
  RequestLimits limits;
  limits.allow_connect = true;
  const auto connect = [&](std::string_view target) {
    return check_request_line("CONNECT", target, http_1_1, limits);
  };
  EXPECT_TRUE(accepts(connect("example.com:443")));
  EXPECT_TRUE(accepts(connect("[::1]:443")));
  for (const auto target : {"/"sv, "example.com"sv, "example.com:"sv, "http://a:1/"sv, "*"sv}) {
    EXPECT_TRUE(refuses(connect(target), bad_target_form)) << target;
  }
}

TEST(RequestLine, OnlyOneMajorVersionIsSpoken) {
  for (const HttpVersion version : {HttpVersion{1, 0}, {1, 1}, {1, 2}, {1, 9}}) {
    EXPECT_TRUE(accepts(line("GET", "/", version))) << int{version.minor};
  }
  for (const HttpVersion version : {HttpVersion{0, 9}, {2, 0}, {2, 1}, {3, 0}, {0, 0}}) {
    EXPECT_TRUE(refuses(line("GET", "/", version), unsupported_version)) << int{version.major};
  }
  EXPECT_TRUE(refuses(line("PRI", "*", {2, 0}), unsupported_version));
  EXPECT_EQ(refusal(unsupported_version).status, 505);
  EXPECT_EQ(refusal(bad_version).status, 400);
}

TEST(RequestLine, HigherMinorVersionsAreServedAsTheHighestKnown) {
  for (const HttpVersion version : {HttpVersion{1, 1}, {1, 2}, {1, 9}}) {
    EXPECT_EQ(served_version(version), http_1_1) << int{version.minor};
  }
  for (const HttpVersion version : {HttpVersion{0, 9}, {1, 0}, {2, 0}, {2, 9}}) {
    EXPECT_EQ(served_version(version), version) << int{version.major};
  }
}

TEST(RequestLine, IsBoundedAsAWhole) {
  RequestLimits limits;
  limits.max_request_line = "GET /12345 HTTP/1.1"sv.size();
  EXPECT_TRUE(accepts(check_request_line("GET", "/12345", http_1_1, limits)));
  EXPECT_TRUE(
      refuses(check_request_line("GET", "/123456", http_1_1, limits), request_line_too_long));
  EXPECT_TRUE(
      refuses(check_request_line("HEAD", "/12345", http_1_1, limits), request_line_too_long));
  EXPECT_EQ(refusal(request_line_too_long).status, 414);
  // RFC 9112 section 3: 8000 octets at least.
  EXPECT_TRUE(accepts(line("GET", "/" + std::string(8000, 'a'))));
  EXPECT_TRUE(refuses(line("GET", "/" + std::string(8192, 'a')), request_line_too_long));
}

TEST(RequestLine, TargetIsChecked) {
  EXPECT_TRUE(refuses(line("GET", "/a#b"), bad_target));
  EXPECT_TRUE(refuses(line("GET", "*"), bad_target_form));
}

// ---- limits of the section

TEST(HeaderLimits, FieldsAreCounted) {
  RequestLimits limits;
  limits.max_header_fields = 2;
  EXPECT_TRUE(accepts(Checked(http_1_1, {{"A", "1"}}, limits).verdict));
  EXPECT_TRUE(
      refuses(Checked(http_1_1, {{"A", "1"}, {"B", "2"}}, limits).verdict, too_many_fields));
  EXPECT_EQ(refusal(too_many_fields).status, 431);
}

TEST(HeaderLimits, FieldLinesAreMeasured) {
  RequestLimits limits;
  limits.max_field_line = "Name: value"sv.size();
  EXPECT_TRUE(accepts(Checked(http_1_1, {{"Name", "value"}}, limits).verdict));
  EXPECT_TRUE(
      refuses(Checked(http_1_1, {{"Name", "value1"}}, limits).verdict, field_line_too_long));
  EXPECT_TRUE(
      refuses(Checked(http_1_1, {{"Names", "value"}}, limits).verdict, field_line_too_long));
  EXPECT_EQ(refusal(field_line_too_long).status, 431);
}

TEST(HeaderLimits, SectionIsMeasured) {
  RequestLimits limits;
  limits.max_header_bytes = "Host: a\r\nName: value\r\n"sv.size();
  EXPECT_TRUE(accepts(Checked(http_1_1, {{"Name", "value"}}, limits).verdict));
  EXPECT_TRUE(refuses(Checked(http_1_1, {{"Name", "value1"}}, limits).verdict, header_too_large));
  EXPECT_EQ(refusal(header_too_large).status, 431);
}

}  // namespace
}  // namespace prowingen
