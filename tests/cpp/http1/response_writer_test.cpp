// Answers as bytes: status line and fields, chunk headers, the server's own refusals.
#include "http1/response_writer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <limits>
#include <memory>
#include <regex>
#include <string>
#include <string_view>

#include "core/engine.h"
#include "no_transport.h"

namespace prowingen::http1 {
namespace {

using namespace std::literals;

constexpr HttpVersion http_1_0{1, 0};

class WriteHead : public testing::Test {
 protected:
  WriteHead() {
    exchange.response.status = 200;
    exchange.response.reason = "OK";
  }
  // Without Date and Server, so that the whole text can be compared.
  std::string head(ResponseFraming framing, bool keep_alive = true) {
    std::string out;
    write_head(exchange, framing, keep_alive, StandingFields("", false), out);
    return out;
  }
  NoTransport transport;
  Exchange exchange{transport};
};

TEST_F(WriteHead, EndsWithAnEmptyLine) {
  EXPECT_EQ(head(ResponseFraming::none), "HTTP/1.1 200 OK\r\n\r\n");
}

TEST(WriteLastChunk, HasTheTrailerSectionBehindIt) {
  std::string out = "before";
  write_last_chunk(nullptr, out);
  EXPECT_EQ(out, "before0\r\n\r\n");
  FieldSection trailers;
  trailers.add_field("X-Checksum", "1");
  trailers.add_field("Server-Timing", "app;dur=1");
  out.clear();
  write_last_chunk(&trailers, out);
  EXPECT_EQ(out, "0\r\nX-Checksum: 1\r\nServer-Timing: app;dur=1\r\n\r\n");
}

TEST(WriteInterim, IsAHeadAlone) {
  ResponseHead head;
  head.status = 103;
  head.reason = reason_phrase(103);
  head.add_field("Link", "</a.css>; rel=preload");
  std::string out;
  write_interim(head, out);
  EXPECT_EQ(out, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
}

TEST_F(WriteHead, AppendsToWhatIsThere) {
  std::string out = "before";
  write_head(exchange, ResponseFraming::none, true, StandingFields("", false), out);
  EXPECT_EQ(out, "beforeHTTP/1.1 200 OK\r\n\r\n");
}

TEST_F(WriteHead, StatusLineIsTheApplications) {
  exchange.response.status = 404;
  exchange.response.reason = "Nothing Here";
  EXPECT_EQ(head(ResponseFraming::none), "HTTP/1.1 404 Nothing Here\r\n\r\n");
  exchange.response.status = 200;
  exchange.response.reason = "Fine";
  EXPECT_EQ(head(ResponseFraming::none), "HTTP/1.1 200 Fine\r\n\r\n");
}

// RFC 9112 section 4: the space after the status code is there even without a reason.
TEST_F(WriteHead, ReasonMayBeEmpty) {
  exchange.response.reason = "";
  EXPECT_EQ(head(ResponseFraming::none), "HTTP/1.1 200 \r\n\r\n");
}

TEST_F(WriteHead, FieldsKeepTheirOrderAndSpelling) {
  exchange.response.add_field("x-B", "2");
  exchange.response.add_field("Set-Cookie", "a=1");
  exchange.response.add_field("Set-Cookie", "b=2");
  exchange.response.add_field("X-Empty", "");
  EXPECT_EQ(head(ResponseFraming::none),
            "HTTP/1.1 200 OK\r\nx-B: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Empty: \r\n\r\n");
}

TEST_F(WriteHead, ChunkedSaysSo) {
  EXPECT_EQ(head(ResponseFraming::chunked),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST_F(WriteHead, LengthIsAddedOnlyWhereTheApplicationGaveNone) {
  exchange.response_body.length_known = true;
  exchange.response_body.length = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(head(ResponseFraming::sized), "HTTP/1.1 200 OK\r\n\r\n");
  exchange.response_body.add_length_field = true;
  EXPECT_EQ(head(ResponseFraming::sized),
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n");
}

// RFC 9110 section 9.3.2: the fields of an answer to HEAD are those of the answer to GET.
TEST_F(WriteHead, LengthIsThereWithoutContentToo) {
  exchange.response_body.allowed = false;
  exchange.response_body.length = 12;
  exchange.response_body.length_known = exchange.response_body.add_length_field = true;
  EXPECT_EQ(head(ResponseFraming::none), "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
}

TEST_F(WriteHead, LastAnswerSaysClose) {
  for (const auto framing :
       {ResponseFraming::none, ResponseFraming::sized, ResponseFraming::until_close}) {
    EXPECT_EQ(head(framing, false), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  }
}

TEST_F(WriteHead, KeepAliveIsSaidToHttp10Only) {
  EXPECT_EQ(head(ResponseFraming::sized, true), "HTTP/1.1 200 OK\r\n\r\n");
  exchange.request.set_request_line("GET", "/", http_1_0);
  EXPECT_EQ(head(ResponseFraming::sized, true),
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(head(ResponseFraming::sized, false), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

TEST_F(WriteHead, DateAndServerAreAddedOnceAndOnlyIfMissing) {
  StandingFields standing("prowingen", true);
  standing.refresh();
  const auto with_standing = [&] {
    std::string out;
    write_head(exchange, ResponseFraming::none, true, standing, out);
    return out;
  };
  const std::string date(standing.date_line());
  EXPECT_EQ(with_standing(), "HTTP/1.1 200 OK\r\n" + date + "Server: prowingen\r\n\r\n");
  exchange.response.has_date = true;
  EXPECT_EQ(with_standing(), "HTTP/1.1 200 OK\r\nServer: prowingen\r\n\r\n");
  exchange.response.has_server = true;
  EXPECT_EQ(with_standing(), "HTTP/1.1 200 OK\r\n\r\n");
}

TEST(StandingFields, DateIsNowAsImfFixdate) {
  StandingFields standing("", true);
  const auto before = std::time(nullptr);
  standing.refresh();
  const auto after = std::time(nullptr);
  const std::string line(standing.date_line());
  // Digits and names have fixed widths (RFC 9110 section 5.6.7).
  const std::regex form(
      "Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} "
      "[0-9]{2}:[0-9]{2}:[0-9]{2} GMT\r\n");
  EXPECT_TRUE(std::regex_match(line, form)) << line;
  std::tm parsed{};
  ASSERT_NE(::strptime(line.c_str(), "Date: %a, %d %b %Y %T GMT", &parsed), nullptr) << line;
  const auto named_day = parsed.tm_wday;
  const auto sent = ::timegm(&parsed);
  EXPECT_LE(before, sent);
  EXPECT_LE(sent, after);
  EXPECT_EQ(parsed.tm_wday, named_day) << line;
}

TEST(StandingFields, WhatIsSwitchedOffIsEmpty) {
  StandingFields standing("", false);
  standing.refresh();
  EXPECT_EQ(standing.date_line(), "");
  EXPECT_EQ(standing.server_line(), "");
}

TEST(ChunkHeader, IsTheSizeInHexadecimal) {
  const auto header = [](std::uint64_t size) {
    std::string out = "x";
    write_chunk_header(size, out);
    return out;
  };
  EXPECT_EQ(header(1), "x1\r\n");
  EXPECT_EQ(header(10), "xa\r\n");
  EXPECT_EQ(header(255), "xff\r\n");
  EXPECT_EQ(header(65536), "x10000\r\n");
  EXPECT_EQ(header(std::numeric_limits<std::uint64_t>::max()), "xffffffffffffffff\r\n");
}

TEST(WriteRefusal, IsAPlainPageThatClosesTheConnection) {
  const Refusal refusal{400, "Bad Request", "a field line is folded", "RFC 9112 5.2"};
  std::string out;
  write_refusal(refusal, true, "", StandingFields("", false), out);
  EXPECT_EQ(out,
            "HTTP/1.1 400 Bad Request\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 54\r\n"
            "Connection: close\r\n"
            "\r\n"
            "400 Bad Request\n"
            "a field line is folded (RFC 9112 5.2)\n");
}

TEST(WriteRefusal, NamesNoSectionWhereThereIsNone) {
  const Refusal refusal{503, "Service Unavailable", "the queue is full", ""};
  std::string out;
  write_refusal(refusal, true, "Retry-After: 1\r\n", StandingFields("", false), out);
  EXPECT_EQ(out,
            "HTTP/1.1 503 Service Unavailable\r\n"
            "Retry-After: 1\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 42\r\n"
            "Connection: close\r\n"
            "\r\n"
            "503 Service Unavailable\n"
            "the queue is full\n");
}

TEST(WriteRefusal, ToHeadHasTheLengthButNotThePage) {
  const Refusal refusal{404, "Not Found", "nothing", ""};
  std::string whole;
  std::string head;
  write_refusal(refusal, true, "", StandingFields("", false), whole);
  write_refusal(refusal, false, "", StandingFields("", false), head);
  EXPECT_TRUE(whole.starts_with(head));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_EQ(whole.substr(head.size()), "404 Not Found\nnothing\n");
}

// What a client, the access log and a proxy in between count must agree.
TEST(WriteRefusal, LengthFieldPageAndLogAgreeForEveryFault) {
  StandingFields standing("prowingen", true);
  standing.refresh();
  for (std::size_t i = 0; i <= static_cast<std::size_t>(last_request_fault); ++i) {
    const Refusal& fault = refusal(static_cast<RequestFault>(i));
    std::string out;
    write_refusal(fault, true, "", standing, out);
    const auto body_at = out.find("\r\n\r\n") + 4;
    const auto size = out.size() - body_at;
    EXPECT_EQ(size, refusal_page(fault).size());
    EXPECT_NE(out.find("\r\nContent-Length: " + std::to_string(size) + "\r\n"), out.npos) << out;
    EXPECT_NE(out.find(std::string(standing.date_line())), out.npos) << out;
    EXPECT_NE(out.find("\r\nServer: prowingen\r\n"), out.npos) << out;
  }
}

}  // namespace
}  // namespace prowingen::http1
