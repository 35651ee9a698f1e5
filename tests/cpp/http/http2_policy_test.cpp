// The request policy for HTTP/2: RFC 9113 section 8.
#include "http/http2_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prowingen {
namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

int status_of(std::string_view method, std::string_view target, const Fields& fields,
              RequestSemantics& out, const RequestLimits& limits = {}) {
  RequestHead head;
  head.set_request_line(method, target, http_2);
  for (const auto& [name, value] : fields) head.add_field(name, value);
  const Verdict verdict = check_http2_request(head, limits, out);
  return verdict == nullptr ? 200 : verdict->status;
}

int status_of(std::string_view method, std::string_view target, const Fields& fields,
              const RequestLimits& limits = {}) {
  RequestSemantics semantics;
  return status_of(method, target, fields, semantics, limits);
}

TEST(Http2Request, WithMethodPathAndAuthorityIsAccepted) {
  EXPECT_EQ(status_of("GET", "/a?b=c", {{"host", "a"}, {"te", "trailers"}}), 200);
  EXPECT_EQ(status_of("OPTIONS", "*", {{"host", "a"}}), 200);
}

TEST(Http2Request, HasNoFieldOfAConnection) {
  for (const auto name :
       {"connection", "Keep-Alive", "proxy-connection", "transfer-encoding", "upgrade"}) {
    EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {name, "x"}}), 400) << name;
  }
  EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {"te", "gzip"}}), 400);
}

TEST(Http2Request, IsRefusedWhereHttp11IsRefused) {
  EXPECT_EQ(status_of("GET", "/", {}), 400) << "no authority";
  EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {"host", "b"}}), 400);
  EXPECT_EQ(status_of("GET", "/", {{"host", "a b"}}), 400);
  EXPECT_EQ(status_of("GET", "a", {{"host", "a"}}), 400) << "no path";
  EXPECT_EQ(status_of("GET", "/%zz", {{"host", "a"}}), 400);
  EXPECT_EQ(status_of("G T", "/", {{"host", "a"}}), 400);
  EXPECT_EQ(status_of(std::string(40, 'G'), "/", {{"host", "a"}}), 501);
  EXPECT_EQ(status_of("CONNECT", "a:80", {{"host", "a"}}), 501);
  EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {"x", "a\nb"}}), 400);
  EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {"x y", "a"}}), 400);
  EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {"content-length", "1x"}}), 400);
  EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {"expect", "miracles"}}), 417);
}

TEST(Http2Request, LimitsAreKept) {
  RequestLimits limits;
  limits.max_request_line = 20;
  limits.max_field_line = 10;
  limits.max_body = 5;
  EXPECT_EQ(status_of("GET", "/" + std::string(30, 'a'), {{"host", "a"}}, limits), 414);
  EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {"x", "0123456789"}}, limits), 431);
  limits.max_field_line = 100;
  EXPECT_EQ(status_of("GET", "/", {{"host", "a"}, {"content-length", "6"}}, limits), 413);
}

TEST(Http2Request, TellsLengthAndExpectation) {
  RequestSemantics semantics;
  const Fields fields{{"host", "a"}, {"content-length", "5"}, {"expect", "100-continue"}};
  EXPECT_EQ(status_of("POST", "/", fields, semantics), 200);
  EXPECT_EQ(semantics.content_length, 5U);
  EXPECT_TRUE(semantics.expects_continue);
  const Fields zeros{{"host", "a"}, {"content-length", "0000000010"}};
  EXPECT_EQ(status_of("POST", "/", zeros, semantics), 200);
  EXPECT_EQ(semantics.content_length, 10U);
}

TEST(Http2Request, MayExpectContinueWithoutALength) {
  RequestSemantics semantics;
  EXPECT_EQ(status_of("POST", "/", {{"host", "a"}, {"expect", "100-continue"}}, semantics), 200);
  EXPECT_TRUE(semantics.expects_continue);
  const Fields empty{{"host", "a"}, {"content-length", "0"}, {"expect", "100-continue"}};
  EXPECT_EQ(status_of("POST", "/", empty, semantics), 200);
  EXPECT_FALSE(semantics.expects_continue);
}

}  // namespace
}  // namespace prowingen
