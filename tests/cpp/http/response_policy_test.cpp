// The response side of HTTP's rules: which fields an application may set, and framing. What a field
// consists of is the same for requests: field_rules_test.cpp.
#include "http/response_policy.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>

namespace prowingen {
namespace {

using namespace std::literals;

constexpr HttpVersion http_1_0{1, 0};
constexpr HttpVersion http_1_1{1, 1};

TEST(ResponseField, ThoseTheServerReadsAreTold) {
  EXPECT_EQ(classify_response_field("Content-Length"), ResponseField::content_length);
  EXPECT_EQ(classify_response_field("Date"), ResponseField::date);
  EXPECT_EQ(classify_response_field("Server"), ResponseField::server);
}

// The list of wsgiref.util.is_hop_by_hop(), which applications are checked against, and what RFC
// 9113 section 8.2.2 has beside them. `Trailer` is for whoever reads the trailer section.
TEST(ResponseField, HopByHopOnesAreTold) {
  for (const auto name :
       {"connection"sv, "keep-alive"sv, "proxy-authenticate"sv, "proxy-authorization"sv,
        "proxy-connection"sv, "te"sv, "trailers"sv, "transfer-encoding"sv, "upgrade"sv}) {
    EXPECT_TRUE(is_hop_by_hop(classify_response_field(name))) << name;
  }
  for (const auto name : {"content-length"sv, "date"sv, "server"sv, "trailer"sv, "x-other"sv}) {
    EXPECT_FALSE(is_hop_by_hop(classify_response_field(name))) << name;
  }
}

TEST(ResponseField, NamesAreComparedWithoutCase) {
  EXPECT_EQ(classify_response_field("CONTENT-LENGTH"), ResponseField::content_length);
  EXPECT_EQ(classify_response_field("tRANSFER-eNCODING"), ResponseField::transfer_encoding);
  EXPECT_EQ(classify_response_field("TE"), ResponseField::te);
}

TEST(ResponseField, TransferEncodingSaysAtMostThatTheAnswerIsFramed) {
  const auto check = [](std::string_view value) {
    return check_response_field(ResponseField::transfer_encoding, "Transfer-Encoding", value);
  };
  for (const auto value : {"chunked"sv, "Chunked"sv, " chunked\t"sv, "identity"sv}) {
    EXPECT_EQ(check(value), std::nullopt) << value;
  }
  for (const auto value : {""sv, "gzip"sv, "gzip, chunked"sv, "chunked, chunked"sv, "chunked;q=1"sv,
                           "chunkedx"sv, "identity, chunked"sv}) {
    EXPECT_EQ(check(value), FieldFault::transfer_coding) << value;
  }
}

TEST(ConnectionWishes, AreAListOfOptions) {
  for (const auto value : {"close"sv, "CLOSE"sv, " close "sv, ",close"sv, ", close ,,"sv}) {
    EXPECT_TRUE(parse_connection(value).close) << value;
    EXPECT_FALSE(parse_connection(value).more) << value;
  }
  for (const auto value : {"keep-alive"sv, "X-Field"sv, "closed"sv, "not close"sv}) {
    EXPECT_FALSE(parse_connection(value).close) << value;
    EXPECT_TRUE(parse_connection(value).more) << value;
  }
  for (const auto value : {""sv, " "sv, ","sv}) {
    EXPECT_FALSE(parse_connection(value).close) << value;
    EXPECT_FALSE(parse_connection(value).more) << value;
  }
  EXPECT_TRUE(parse_connection("keep-alive, close").close);
  EXPECT_TRUE(parse_connection("keep-alive, close").more);
}

TEST(Upgrade, IsForAnswersThatAskForItOnHttp11) {
  EXPECT_TRUE(may_name_protocols(101, http_1_1));
  EXPECT_TRUE(may_name_protocols(426, http_1_1));
  EXPECT_FALSE(may_name_protocols(426, http_1_0));
  EXPECT_FALSE(may_name_protocols(426, HttpVersion{2, 0}));
  EXPECT_FALSE(may_name_protocols(200, http_1_1));
}

TEST(ResponseField, OthersAreTheApplications) {
  for (const auto name :
       {""sv, "Content-Type"sv, "Content-Length-"sv, "Content_Length"sv, "X-Date"sv, "Dat"sv,
        "Set-Cookie"sv, "Servers"sv, "t"sv, "tee"sv, "Sec-WebSocket-Accept"sv}) {
    EXPECT_EQ(classify_response_field(name), ResponseField::other) << name;
  }
}

TEST(ResponseField, ContentLengthIsADecimalNumber) {
  constexpr auto max = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(parse_content_length("0"), 0U);
  EXPECT_EQ(parse_content_length("42"), 42U);
  EXPECT_EQ(parse_content_length(std::to_string(max)), max);
  for (const auto value : {""sv, " "sv, "+1"sv, "-1"sv, "-0"sv, " 1"sv, "1 "sv, "1, 1"sv, "1,1"sv,
                           "0x1"sv, "1_0"sv, "1.0"sv, "1e3"sv, "a"sv, "1\0"sv, "\xD9\xA1"sv,
                           "18446744073709551616"sv, "99999999999999999999999"sv}) {
    EXPECT_EQ(parse_content_length(value), std::nullopt) << value;
  }
}

TEST(ResponseContent, IsAbsentFromHeadAndFromThreeKindsOfStatus) {
  EXPECT_TRUE(response_has_content("GET", 200));
  EXPECT_TRUE(response_has_content("POST", 205));
  EXPECT_TRUE(response_has_content("GET", 404));
  EXPECT_TRUE(response_has_content("GET", 303));
  EXPECT_TRUE(response_has_content("GET", 999));
  EXPECT_FALSE(response_has_content("HEAD", 200));
  EXPECT_FALSE(response_has_content("GET", 204));
  EXPECT_FALSE(response_has_content("GET", 304));
  EXPECT_FALSE(response_has_content("GET", 100));
  EXPECT_FALSE(response_has_content("GET", 101));
  EXPECT_FALSE(response_has_content("GET", 199));
  // Methods are case-sensitive (RFC 9110 section 9.1): this one is not HEAD.
  EXPECT_TRUE(response_has_content("head", 200));
}

ResponseBody body(bool allowed, bool length_known, std::uint64_t length = 0) {
  ResponseBody body;
  body.allowed = allowed;
  body.length_known = length_known;
  body.length = length;
  return body;
}

TEST(ResponseFraming, IsByLengthWhereItIsKnown) {
  for (const auto version : {http_1_0, http_1_1}) {
    EXPECT_EQ(frame_response(version, body(true, true, 5)), ResponseFraming::sized);
    EXPECT_EQ(frame_response(version, body(true, true, 0)), ResponseFraming::sized);
  }
}

TEST(ResponseFraming, IsChunkedOnlyForThoseWhoKnowIt) {
  EXPECT_EQ(frame_response(http_1_1, body(true, false)), ResponseFraming::chunked);
  EXPECT_EQ(frame_response(http_1_0, body(true, false)), ResponseFraming::until_close);
}

TEST(ResponseFraming, IsNoneWithoutContentWhateverTheLength) {
  for (const auto version : {http_1_0, http_1_1}) {
    EXPECT_EQ(frame_response(version, body(false, true, 5)), ResponseFraming::none);
    EXPECT_EQ(frame_response(version, body(false, false)), ResponseFraming::none);
  }
}

TEST(ReasonPhrase, IsTheRegisteredOne) {
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(206), "Partial Content");
  EXPECT_EQ(reason_phrase(413), "Content Too Large");
  EXPECT_EQ(reason_phrase(500), "Internal Server Error");
  EXPECT_EQ(reason_phrase(505), "HTTP Version Not Supported");
}

TEST(ReasonPhrase, OfAnUnknownStatusSaysSo) {
  for (const int status : {0, 99, 207, 299, 306, 418, 599, 1000, -1}) {
    EXPECT_EQ(reason_phrase(status), "Unknown") << status;
  }
}

TEST(InterimAnswer, HasNothingOfTheConnectionOrTheContent) {
  EXPECT_EQ(check_interim_field("Link", "</a.css>; rel=preload"), std::nullopt);
  EXPECT_EQ(check_interim_field("X-Any", ""), std::nullopt);
  for (const auto name : {"Connection"sv, "transfer-encoding"sv, "Content-Length"sv, "TE"sv,
                          "Upgrade"sv, "Keep-Alive"sv}) {
    EXPECT_EQ(check_interim_field(name, "1"), FieldFault::not_interim) << name;
  }
  EXPECT_EQ(check_interim_field("Li nk", "a"), FieldFault::name_not_token);
  EXPECT_EQ(check_interim_field("Link", "a\r\nb: c"), FieldFault::value_has_control);
}

TEST(ResponseTrailer, HasNothingThatIsReadBeforeTheContent) {
  for (const auto name : {"ETag"sv, "Server-Timing"sv, "grpc-status"sv, "Content-Digest"sv}) {
    EXPECT_EQ(check_response_trailer(name, "1"), std::nullopt) << name;
  }
  for (const auto name :
       {"Content-Length"sv, "transfer-encoding"sv, "Trailer"sv, "Connection"sv, "Set-Cookie"sv,
        "WWW-Authenticate"sv, "Content-Type"sv, "Cache-Control"sv, "Location"sv, "Date"sv}) {
    EXPECT_EQ(check_response_trailer(name, "1"), FieldFault::not_trailing) << name;
  }
  EXPECT_EQ(check_response_trailer("a:b", "1"), FieldFault::name_not_token);
  EXPECT_EQ(check_response_trailer("a", "1\n"), FieldFault::value_has_control);
}

TEST(ResponseTrailer, IsTakenByWhoeverSaysSo) {
  const auto takes = [](HttpVersion version, std::string_view te) {
    RequestHead request;
    request.set_request_line("GET", "/", version);
    if (!te.empty()) request.add_field("TE", te);
    return takes_trailers(request);
  };
  for (const auto te : {"trailers"sv, "Trailers"sv, "gzip;q=0.5, trailers"sv, " trailers ;q=1"sv}) {
    EXPECT_TRUE(takes({1, 1}, te)) << te;
    EXPECT_FALSE(takes({1, 0}, te)) << te;
  }
  for (const auto te : {""sv, "gzip"sv, "trailer"sv, "xtrailers"sv, "gzip;trailers"sv}) {
    EXPECT_FALSE(takes({1, 1}, te)) << te;
  }
  EXPECT_TRUE(takes({2, 0}, ""));
}

TEST(ResponseTrailer, NeedsAPlaceBehindTheContent) {
  const auto may = [](HttpVersion version, ResponseBody body) {
    RequestHead request;
    request.set_request_line("GET", "/", version);
    request.add_field("TE", "trailers");
    return may_have_trailers(request, body);
  };
  EXPECT_TRUE(may({1, 1}, {}));
  EXPECT_FALSE(may({1, 1}, {.length_known = true, .length = 5}));
  EXPECT_TRUE(may({2, 0}, {.length_known = true, .length = 5}));
  EXPECT_FALSE(may({1, 0}, {}));
  EXPECT_FALSE(may({1, 1}, {.allowed = false}));
  EXPECT_FALSE(may({2, 0}, {.allowed = false}));
}

TEST(SentStatus, SaysOfLaterVersionsWhetherAnotherProtocolFollows) {
  struct Case {
    HttpVersion version;
    int status;
    bool asked;
    bool switches;
    int sent;
  };
  for (const auto& [version, status, asked, switches, sent] : {
           Case{{1, 1}, 101, true, true, 101},
           Case{{1, 1}, 200, true, false, 200},
           Case{{2, 0}, 101, true, true, 200},
           Case{{3, 0}, 101, true, true, 200},
           Case{{2, 0}, 204, true, true, 204},   // of a CONNECT
           Case{{2, 0}, 200, true, false, 400},  // no success, as that is one
           Case{{3, 0}, 299, true, false, 400},
           Case{{2, 0}, 302, true, false, 302},
           Case{{2, 0}, 403, true, false, 403},
           Case{{2, 0}, 200, false, false, 200},
       }) {
    EXPECT_EQ(sent_status(status, version, asked, switches), sent)
        << int{version.major} << ' ' << status;
  }
}

}  // namespace
}  // namespace prowingen
