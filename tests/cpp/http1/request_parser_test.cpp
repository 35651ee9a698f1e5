// HTTP/1.x requests out of bytes: what comes out of them, what is refused, and that it does not
// depend on where the network cut them. Chunked bodies are in request_parser_chunked_test.cpp.
#include "http1/request_parser.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "http/verdicts.h"

namespace prowingen::http1 {
namespace {

using namespace std::literals;
using enum RequestFault;
using Outcome = RequestParser::Outcome;

struct Body final : BodySink {
  void on_body(std::string_view piece) override { bytes.append(piece); }
  void on_trailer(std::string_view, std::string_view) override {}
  std::string bytes;
};

// All that came of some input. Compared as a whole, so its parts are one text.
struct Parsed {
  std::string events;  // request line, fields and body
  Verdict verdict = nullptr;
  bool done = false;
  std::string rest;  // what belongs to the next request
  friend bool operator==(const Parsed&, const Parsed&) = default;
  friend void PrintTo(const Parsed& parsed, std::ostream* out) {
    *out << parsed.events << (parsed.done ? " done, " : " not done, ")
         << (parsed.verdict == nullptr ? "accepted" : parsed.verdict->detail) << ", rest \""
         << parsed.rest << '"';
  }
};

std::string show(const RequestHead& head) {
  std::string text(head.method());
  text.append(" ").append(head.target()).append(" ");
  text += std::to_string(head.version.major) + "." + std::to_string(head.version.minor) + "\n";
  for (const auto& field : head.fields()) {
    text.append(head.view(field.name)).append("=[").append(head.view(field.value)).append("]\n");
  }
  return text;
}

// Feeds pieces to parsers the way a connection does: a head that is not whole is tried again from
// its first byte by a new parser, a body goes on where it was.
Parsed parse(const std::vector<std::string_view>& pieces, const RequestLimits& limits = {}) {
  RequestHead head;
  Body body;
  std::optional<RequestParser> parser;
  Parsed result;
  std::string input;
  bool in_body = false;
  for (const auto piece : pieces) {
    input.append(piece);
    while (!input.empty() && !result.done) {
      if (!in_body) {
        head.clear();
        parser.emplace(head, limits, body);
      }
      const auto progress = in_body ? parser->parse_body(input) : parser->parse_head(input);
      if (progress.outcome == Outcome::refused) {
        result.verdict = progress.verdict;
        return result;
      }
      in_body |= progress.outcome == Outcome::head_done;
      result.done = progress.outcome == Outcome::request_done;
      input.erase(0, progress.consumed);
      if (progress.consumed == 0) break;
    }
  }
  if (in_body || result.done) result.events = show(head) + body.bytes;
  result.rest = input;
  return result;
}

Parsed parse(std::string_view input, const RequestLimits& limits = {}) {
  return parse(std::vector{input}, limits);
}

Verdict refusal_of(std::string_view input) { return parse(input).verdict; }
Verdict refusal_of_field(const std::string& line) {
  return refusal_of("GET / HTTP/1.1\r\n" + line + "\r\nHost: a\r\n\r\n");
}

// ---- what comes out

TEST(RequestParser, GivesTheHeadAsItWasSent) {
  const auto parsed = parse(
      "GET /a%20b?c=d HTTP/1.1\r\nHost: example.com\r\nx-Twice: 1\r\nX-tWICE: 2\r\n"
      "Empty:\r\nSpaced: \t in  between \t \r\nObs: \xE9\r\n\r\n"sv);
  EXPECT_TRUE(accepts(parsed.verdict));
  EXPECT_TRUE(parsed.done);
  EXPECT_EQ(parsed.events,
            "GET /a%20b?c=d 1.1\nHost=[example.com]\nx-Twice=[1]\nX-tWICE=[2]\n"
            "Empty=[]\nSpaced=[in  between]\nObs=[\xE9]\n");
}

TEST(RequestParser, SpeaksBothMinorVersions) {
  EXPECT_EQ(parse("GET / HTTP/1.0\r\n\r\n"sv).events, "GET / 1.0\n");
  EXPECT_EQ(parse("GET / HTTP/1.1\r\n\r\n"sv).events, "GET / 1.1\n");
}

// What is behind the line's end is no part of the version.
TEST(RequestParser, FaultOfAVersionIsItsLinesOwn) {
  for (const auto line : {"GET / HTTP/1.1\n"sv, "GET / HTTP/2.0\n"sv, "GET / HTTP/x\n"sv}) {
    const auto verdict = refusal_of(std::string(line) + "X: y\r\n\r\n");
    ASSERT_NE(verdict, nullptr) << line;
    EXPECT_EQ(refusal_of(std::string(line) + "X: HTTP/3.0\r\n\r\n"), verdict) << line;
  }
}

// RFC 9110 section 2.5.
TEST(RequestParser, TakesHigherMinorVersionsForTheHighestOfItsOwn) {
  for (const auto& minor : {"2"s, "5"s, "9"s}) {
    const auto parsed = parse("POST /a HTTP/1." + minor +
                              "\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.2");
    EXPECT_TRUE(parsed.done) << minor;
    EXPECT_EQ(parsed.events, "POST /a 1.1\nHost=[a]\nTransfer-Encoding=[chunked]\nhello");
    EXPECT_EQ(parsed.rest, "GET / HTTP/1.2");
  }
  // However it is cut.
  const auto text = "PUT /a HTTP/1.7\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"s;
  std::vector<std::string_view> pieces;
  for (const char& octet : text) pieces.emplace_back(&octet, 1);
  EXPECT_EQ(parse(pieces).events, "PUT /a 1.1\nHost=[a]\nContent-Length=[2]\nhi");
  // The rest is read by the same rules, under the same limits.
  for (const auto line : {"GET / HTTP/1.2\rX HTTP/1.2"sv, "GET / HTTP/1.2 "sv, "GET / HTTP/1.22"sv,
                          "GET /HTTP/1.2"sv, " HTTP/1.2"sv, "HTTP/1.2"sv, "GET  / HTTP/1.2"sv,
                          "GET / HTTP/1.2\n"sv, "GET / http/1.2"sv, "GET / HTTP/2.2"sv}) {
    EXPECT_NE(refusal_of(std::string(line) + "\r\nHost: a\r\n\r\n"), nullptr) << line;
  }
  EXPECT_TRUE(refuses(refusal_of("GET / HTTP/1.2\r\nA: b\r\n c\r\n\r\n"), obs_fold));
  EXPECT_TRUE(refuses(refusal_of("GET / HTTP/1.2\r\nA: \x01\r\n\r\n"), bad_field_value));
  RequestLimits limits;
  limits.max_header_fields = 2;
  EXPECT_TRUE(
      refuses(parse("GET / HTTP/1.2\r\nA:\r\nB:\r\nC:\r\nD"sv, limits).verdict, too_many_fields));
}

// Else a client that waits for its answer would wait for a time limit.
TEST(RequestParser, AHeadThatIsTooLargeIsRefusedAtOnceWhateverItsMinorVersion) {
  const RequestLimits limits;
  const auto head = [](char minor, std::size_t size) {
    const auto line = "GET / HTTP/1."s + minor + "\r\n";
    return line + "Host: a\r\nX: " + std::string(size - 14, 'x') + "\r\n\r\n";
  };
  for (const std::size_t beyond : {0, 1, 2, 3, 4, 8, 16, 32, 4000, 8000, 8200, 20'000}) {
    for (const char minor : {'1', '2', '9'}) {
      const auto parsed = parse(std::string_view(head(minor, limits.max_header_bytes + beyond)));
      EXPECT_TRUE(parsed.done || parsed.verdict != nullptr) << minor << ", " << beyond;
    }
  }
}

TEST(RequestParser, KeepsALengthWithoutItsLeadingZeros) {
  const auto parsed = parse("POST / HTTP/1.1\r\nContent-Length: 0000000005\r\n\r\nhello"sv);
  EXPECT_TRUE(parsed.done);
  EXPECT_EQ(parsed.events, "POST / 1.1\nContent-Length=[5]\nhello");
  EXPECT_TRUE(parse("POST / HTTP/1.1\r\nContent-Length: 000\r\n\r\n"sv).done);
}

TEST(RequestParser, TakesAnyMethodThatIsAToken) {
  for (const auto& method : {"GET"s, "get"s, "M-SEARCH"s, "!#$%&'*+-.^_`|~09az"s}) {
    EXPECT_EQ(parse(method + " / HTTP/1.1\r\n\r\n").events, method + " / 1.1\n");
  }
}

TEST(RequestParser, BodyOfKnownLengthEndsWhereItSays) {
  const auto parsed =
      parse("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\n"sv);
  EXPECT_TRUE(parsed.done);
  EXPECT_EQ(parsed.events, "POST / 1.1\nContent-Length=[5]\nhello");
  EXPECT_EQ(parsed.rest, "GET /next HTTP/1.1\r\n");
}

TEST(RequestParser, NoBodyMeansDoneWithTheHead) {
  EXPECT_TRUE(parse("POST / HTTP/1.1\r\n\r\n"sv).done);
  EXPECT_TRUE(parse("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"sv).done);
  EXPECT_FALSE(parse("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"sv).done);
}

TEST(RequestParser, LargeLengthIsNoReasonToRefuse) {
  const auto parsed = parse("PUT / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nx"sv);
  EXPECT_TRUE(accepts(parsed.verdict));
  EXPECT_FALSE(parsed.done);
}

// ---- what is refused

TEST(RequestParser, RequestLineIsMethodTargetVersion) {
  for (const auto line : {" GET / HTTP/1.1"sv, "G\x01T / HTTP/1.1"sv, "GE(T / HTTP/1.1"sv,
                          "\tGET / HTTP/1.1"sv, "\xC3\xA9 / HTTP/1.1"sv, " "sv}) {
    EXPECT_TRUE(refuses(refusal_of(std::string(line) + "\r\n\r\n"), bad_method)) << line;
  }
  for (const auto line : {"GET  / HTTP/1.1"sv, "GET\x20\x20HTTP/1.1"sv, "GET /\x01 HTTP/1.1"sv,
                          "GET /\t HTTP/1.1"sv, "GET /\xE9 HTTP/1.1"sv, "GET /"sv, "GET "sv,
                          "GET /\x7F HTTP/1.1"sv, "GET /\0 HTTP/1.1"sv}) {
    EXPECT_TRUE(refuses(refusal_of(std::string(line) + "\r\n\r\n"), bad_target)) << line;
  }
  for (const auto line : {"GET / "sv, "GET / /HTTP/1.1"sv, "GET / http/1.1"sv, "GET / HTTP/1.1 "sv,
                          "GET / HTTP/1.1x"sv, "GET / HTTP/11.1"sv, "GET / HTTP/1.10"sv,
                          "GET / HTTP/1,1"sv, "GET / HTTP/+1.1"sv, "GET / HTTPS/1.1"sv,
                          "GET / HTTP 1.1"sv, "GET /a b HTTP/1.1"sv, "GET / HTTP/2.0x"sv}) {
    EXPECT_TRUE(refuses(refusal_of(std::string(line) + "\r\nHost: a\r\n\r\n"), bad_version))
        << line;
  }
}

TEST(RequestParser, OtherVersionsAreToldApartFromNonsense) {
  for (const auto& version : {"0.9"s, "2.0"s, "2.1"s, "3.0"s, "9.9"s, "0.0"s}) {
    const auto line = "GET / HTTP/" + version + "\r\n\r\n";
    EXPECT_TRUE(refuses(refusal_of(line), unsupported_version)) << line;
  }
  EXPECT_TRUE(refuses(refusal_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), unsupported_version));
}

TEST(RequestParser, AsksThePolicyAboutTheRequestLine) {
  EXPECT_TRUE(refuses(refusal_of("CONNECT a:1 HTTP/1.1\r\n\r\n"), connect_unsupported));
  const std::string method(max_method_size + 1, 'M');
  EXPECT_TRUE(refuses(refusal_of(method + " / HTTP/1.1\r\n\r\n"), method_too_long));
  const auto line = "GET /" + std::string(RequestLimits().max_request_line, 'a') + " HTTP/1.1";
  EXPECT_TRUE(refuses(refusal_of(line + "\r\n\r\n"), request_line_too_long));
}

TEST(RequestParser, FieldNameIsATokenAndAColon) {
  for (const auto& line : {": a"s, "Na me: a"s, "Name : a"s, "Name\t: a"s, "No colon"s,
                           "No\xE9: a"s, "(No): a"s, "N\0o: a"s, "\"No\": a"s}) {
    EXPECT_TRUE(refuses(refusal_of_field(line), bad_field_name)) << line;
  }
  EXPECT_TRUE(refuses(refusal_of("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), bad_field_name))
      << "a continuation of nothing";
}

TEST(RequestParser, FieldValueHasNoControlCharacter) {
  for (int c = 0; c < 0x20; ++c) {
    if (c == '\t') continue;
    const auto line = "Name: a"s + static_cast<char>(c) + "b";
    EXPECT_TRUE(refuses(refusal_of_field(line), c == '\r' ? bad_line_ending : bad_field_value))
        << c;
  }
  EXPECT_TRUE(refuses(refusal_of_field("Name: a\x7F"), bad_field_value));
}

TEST(RequestParser, LinesEndWithBothCrAndLf) {
  EXPECT_TRUE(refuses(refusal_of("GET / HTTP/1.1\nHost: a\n\n"), bad_version));
  EXPECT_TRUE(refuses(refusal_of("GET / HTTP/1.1\r\nHost: a\n\r\n"), bad_field_value));
  EXPECT_NE(refusal_of("GET / HTTP/1.1\r\nHost: a\r\n\nGET"), nullptr);
  EXPECT_NE(refusal_of("GET / HTTP/1.1\r\nHost: a\r\n\rGET"), nullptr);
}

TEST(RequestParser, FoldedFieldsAreRefusedWhereverTheFoldIs) {
  for (const auto& line : {"Name: a\r\n b"s, "Name: a\r\n\tb"s, "Name:\r\n b"s, "Name: a\r\n "s,
                           "Name:\r\n "s, "Name:\r\n \r\n b"s, "Name: a\r\n \r\n b"s,
                           "Name: \r\n\t\r\n "s, "Name: a\r\n b\r\n c"s, "Host: b\r\n c"s}) {
    EXPECT_TRUE(refuses(refusal_of_field(line), obs_fold)) << line;
  }
  EXPECT_NE(refusal_of_field("Content-Length: 1\r\n 1"), nullptr);
  EXPECT_NE(refusal_of_field("Transfer-Encoding:\r\n chunked"), nullptr);
  EXPECT_NE(refusal_of_field("Name: a\r\n " + std::string(10'000, 'b')), nullptr);
}

TEST(RequestParser, AHeadWithoutEndIsTooLarge) {
  RequestLimits limits;
  limits.max_request_line = 50;
  limits.max_header_bytes = 100;
  const auto endless = "GET / HTTP/1.1\r\nName: " + std::string(200, 'a');
  EXPECT_TRUE(refuses(parse(endless, limits).verdict, header_too_large));
  EXPECT_EQ(parse(endless.substr(0, 150), limits).verdict, nullptr) << "it may still end in time";
  EXPECT_TRUE(refuses(parse("GET /" + std::string(200, 'a'), limits).verdict, header_too_large));
}

// An unfinished head is parsed again and again; the count of its fields bounds what that costs.
TEST(RequestParser, TooManyFieldsAreRefusedBeforeTheHeadEnds) {
  RequestLimits limits;
  limits.max_header_fields = 3;
  const auto begun = "GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD"s;
  EXPECT_EQ(parse(begun, limits).verdict, nullptr);
  EXPECT_TRUE(refuses(parse(begun + ": 4\r\nE", limits).verdict, too_many_fields));
}

// ---- where the network cuts

const std::string whole_requests[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a?b HTTP/1.0\r\nName:\r\nOther: \t v v \r\n\r\nGET /next",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello\r\n\r\n:)GET /next",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
};
const std::string broken_heads[] = {
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "GET / HTTP/1.1\r\nA:\r\n \r\n\r\n",
    "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
};

void expect_any_cut_gives_the_same(std::string_view text) {
  const Parsed whole = parse(text);
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    ASSERT_EQ(parse(std::vector{text.substr(0, cut), text.substr(cut)}), whole)
        << "cut at " << cut << " of " << text;
  }
}

TEST(RequestParserCuts, InTwoMakeNoDifference) {
  for (const std::string& request : whole_requests) expect_any_cut_gives_the_same(request);
  for (const std::string& head : broken_heads) expect_any_cut_gives_the_same(head);
}

TEST(RequestParserCuts, IntoManyPiecesMakeNoDifference) {
  std::mt19937 random(3333);
  for (const std::string& request : whole_requests) {
    const Parsed whole = parse(request);
    for (int round = 0; round < 300; ++round) {
      const std::size_t longest = 1 + random() % 8;  // 1: byte by byte
      std::vector<std::string_view> pieces;
      for (std::string_view rest = request; !rest.empty();) {
        const std::size_t size = std::min(rest.size(), 1 + random() % longest);
        pieces.push_back(rest.substr(0, size));
        rest.remove_prefix(size);
      }
      ASSERT_EQ(parse(pieces), whole) << request;
    }
  }
}

}  // namespace
}  // namespace prowingen::http1
