// How a request's body is delimited, and what becomes of the connection.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "http/request_policy.h"
#include "http/verdicts.h"

namespace prowingen {
namespace {

using namespace std::literals;
using enum RequestFault;

Verdict with(std::string_view name, std::string_view value, HttpVersion version = http_1_1) {
  return Checked(version, {{name, value}}).verdict;
}

// ---- Content-Length

TEST(ContentLength, IsOneDecimalNumber) {
  constexpr auto max = std::numeric_limits<std::uint64_t>::max();
  for (const auto length : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{10}, max / 10, max}) {
    const Checked checked(http_1_1, {{"content-LENGTH", std::to_string(length)}});
    ASSERT_TRUE(accepts(checked.verdict)) << length;
    EXPECT_EQ(checked.semantics.framing, BodyFraming::content_length);
    EXPECT_EQ(checked.semantics.content_length, length);
  }
  for (const auto value : {""sv, "+1"sv, "-1"sv, "-0"sv, "1 1"sv, "1,1"sv, "1, 1"sv, "1,"sv,
                           "0x1"sv, "1_0"sv, "1.0"sv, "1e3"sv, "a"sv, "1\0"sv, "\xD9\xA1"sv}) {
    EXPECT_TRUE(refuses(with("Content-Length", value), bad_content_length)) << value;
    EXPECT_TRUE(refuses(with("Content-Length", value, http_1_0), bad_content_length)) << value;
  }
}

TEST(ContentLength, OverflowIsRefused) {
  EXPECT_TRUE(accepts(with("Content-Length", "18446744073709551615")));
  for (const auto value : {"18446744073709551616"sv, "18446744073709551620"sv,
                           "99999999999999999999"sv, "100000000000000000000000000000000001"sv}) {
    EXPECT_TRUE(refuses(with("Content-Length", value), bad_content_length)) << value;
  }
}

TEST(ContentLength, LeadingZerosAreDecimalAndBounded) {
  struct Case {
    std::string_view value;
    std::uint64_t length;
  };
  for (const auto& [value, length] :
       {Case{"0", 0}, Case{"00", 0}, Case{"0000000010", 10}, Case{"00000000000000000018", 18},
        Case{"018446744073709551615", 0}, Case{"08446744073709551615", 8446744073709551615U}}) {
    const Checked checked(http_1_1, {{"Content-Length", value}});
    if (value.size() > max_length_digits) {
      EXPECT_TRUE(refuses(checked.verdict, bad_content_length)) << value;
      continue;
    }
    ASSERT_TRUE(accepts(checked.verdict)) << value;
    EXPECT_EQ(checked.semantics.content_length, length) << value;
  }
  for (const auto value : {"000000000000000000010"sv, "0x10"sv, "0o7"sv, "0 1"sv, "00,00"sv}) {
    EXPECT_TRUE(refuses(with("Content-Length", value), bad_content_length)) << value;
  }
}

TEST(ContentLength, IsKeptWithoutLeadingZeros) {
  EXPECT_EQ(plain_length("0000000010"), "10");
  EXPECT_EQ(plain_length("10"), "10");
  EXPECT_EQ(plain_length("000"), "0");
  EXPECT_EQ(plain_length(""), "");
  EXPECT_EQ(plain_length("000000000000000000005"), "000000000000000000005");
}

TEST(ContentLength, RepeatedIsRefusedEvenIfEqual) {
  for (const auto second : {"5"sv, "6"sv}) {
    const Checked checked(http_1_1, {{"Content-Length", "5"}, {"Content-Length", second}});
    EXPECT_TRUE(refuses(checked.verdict, repeated_content_length)) << second;
  }
}

TEST(ContentLength, IsBoundedByTheBodyLimit) {
  RequestLimits limits;
  limits.max_body = 100;
  EXPECT_TRUE(accepts(Checked(http_1_1, {{"Content-Length", "100"}}, limits).verdict));
  EXPECT_TRUE(
      refuses(Checked(http_1_1, {{"Content-Length", "101"}}, limits).verdict, body_too_large));
  EXPECT_TRUE(accepts(check_body_size(100, limits)));
  EXPECT_TRUE(refuses(check_body_size(101, limits), body_too_large));
  EXPECT_TRUE(accepts(check_body_size(std::numeric_limits<std::uint64_t>::max(), {})));
  EXPECT_EQ(refusal(body_too_large).status, 413);
}

TEST(ContentLength, NoneMeansNoBodyAndUnderscoresMeanNothing) {
  for (const auto version : {http_1_0, http_1_1}) {
    const Checked checked(version, {{"Content_Length", "x"}, {"Transfer_Encoding", "x"}});
    ASSERT_TRUE(accepts(checked.verdict));
    EXPECT_EQ(checked.semantics.framing, BodyFraming::none);
    EXPECT_EQ(checked.semantics.content_length, 0U);
  }
}

// ---- Transfer-Encoding

TEST(TransferEncoding, ChunkedIsAccepted) {
  for (const auto value : {"chunked"sv, "CHUNKED"sv, "Chunked"sv, " \tchunked "sv}) {
    const Checked checked(http_1_1, {{"transfer-ENCODING", value}});
    ASSERT_TRUE(accepts(checked.verdict)) << value;
    EXPECT_EQ(checked.semantics.framing, BodyFraming::chunked);
  }
}

TEST(TransferEncoding, BesideContentLengthIsRefused) {
  const Checked before(http_1_1, {{"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}});
  EXPECT_TRUE(refuses(before.verdict, length_and_transfer_encoding));
  const Checked after(http_1_1, {{"Transfer-Encoding", "identity"}, {"Content-Length", "0"}});
  EXPECT_TRUE(refuses(after.verdict, length_and_transfer_encoding));
}

TEST(TransferEncoding, OnHttp10IsRefused) {
  EXPECT_TRUE(refuses(with("Transfer-Encoding", "chunked", http_1_0), transfer_encoding_on_1_0));
  const Checked both(http_1_0, {{"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}});
  EXPECT_TRUE(refuses(both.verdict, length_and_transfer_encoding));
}

TEST(TransferEncoding, MalformedIsRefused) {
  for (const auto value : {""sv, ","sv, ", chunked"sv, "chunked,"sv, "gzip,,chunked"sv,
                           "chunked;"sv, "chunked;a=b"sv, "chu nked"sv, "\"chunked\""sv,
                           "chunked\xA0"sv, ";chunked"sv, "gzip;a=\"b,c\", chunked"sv}) {
    EXPECT_TRUE(refuses(with("Transfer-Encoding", value), bad_transfer_encoding)) << value;
  }
}

TEST(TransferEncoding, ChunkedMustBeFinal) {
  for (const auto value : {"chunked, gzip"sv, "chunked, identity"sv, "gzip"sv, "identity"sv,
                           "xchunked"sv, "gzip, chunked, gzip"sv, "chunked, gzip, chunked"sv}) {
    EXPECT_TRUE(refuses(with("Transfer-Encoding", value), chunked_not_final)) << value;
  }
  const Checked lines(http_1_1, {{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "gzip"}});
  EXPECT_TRUE(refuses(lines.verdict, chunked_not_final));
  EXPECT_EQ(refusal(chunked_not_final).status, 400);
}

TEST(TransferEncoding, ChunkedTwiceIsRefused) {
  EXPECT_TRUE(refuses(with("Transfer-Encoding", "chunked, chunked"), repeated_chunked));
  const Checked lines(http_1_1,
                      {{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "CHUNKED"}});
  EXPECT_TRUE(refuses(lines.verdict, repeated_chunked));
}

TEST(TransferEncoding, OtherCodingsBeforeChunkedAreNotImplemented) {
  for (const auto value : {"gzip, chunked"sv, "identity,chunked"sv, "x;a=b, chunked"sv}) {
    EXPECT_TRUE(refuses(with("Transfer-Encoding", value), unknown_transfer_coding)) << value;
  }
  EXPECT_EQ(refusal(unknown_transfer_coding).status, 501);
}

// ---- Expect

TEST(Expect, ContinueIsExpectedOnHttp11WithABody) {
  const Checked length(http_1_1, {{"Expect", "100-Continue"}, {"Content-Length", "1"}});
  EXPECT_TRUE(length.semantics.expects_continue);
  const Checked chunked(http_1_1, {{"Transfer-Encoding", "chunked"}, {"Expect", "100-continue"}});
  EXPECT_TRUE(chunked.semantics.expects_continue);
  const Checked none(http_1_1, {{"Expect", "100-continue"}});
  EXPECT_TRUE(accepts(none.verdict));
  EXPECT_FALSE(none.semantics.expects_continue);
  const Checked empty(http_1_1, {{"Expect", "100-continue"}, {"Content-Length", "0"}});
  EXPECT_FALSE(empty.semantics.expects_continue);
  const Checked old(http_1_0, {{"Expect", "100-continue"}, {"Content-Length", "1"}});
  EXPECT_TRUE(accepts(old.verdict));
  EXPECT_FALSE(old.semantics.expects_continue);
}

TEST(Expect, AnythingElseFails) {
  EXPECT_TRUE(accepts(with("Expect", "")));
  EXPECT_TRUE(accepts(with("Expect", "100-continue, 100-CONTINUE,")));
  for (const auto value : {"101-continue"sv, "100-continue, x"sv, "x, 100-continue"sv, "100"sv,
                           "100-continue;a"sv, "100-continue=1"sv, "\"100-continue\""sv}) {
    EXPECT_TRUE(refuses(with("Expect", value), unknown_expectation)) << value;
    EXPECT_TRUE(refuses(with("Expect", value, http_1_0), unknown_expectation)) << value;
  }
  EXPECT_EQ(refusal(unknown_expectation).status, 417);
}

// ---- Connection and Upgrade

TEST(Connection, PersistsByVersionAndOption) {
  struct Case {
    HttpVersion version;
    std::string_view value;
    bool keep_alive;
  };
  for (const auto& [version, value, keep_alive] : {
           Case{http_1_1, "", true},
           Case{http_1_1, "keep-alive", true},
           Case{http_1_1, "TE, x", true},
           Case{http_1_1, "close", false},
           Case{http_1_1, "CLOSE", false},
           Case{http_1_1, "keep-alive, close", false},
           Case{http_1_1, "close , keep-alive", false},
           Case{http_1_1, ",close,", false},
           Case{http_1_1, "closed", true},
           Case{http_1_0, "", false},
           Case{http_1_0, "Keep-Alive", true},
           Case{http_1_0, "keep-alive, close", false},
           Case{http_1_0, "keep_alive", false},
       }) {
    const Checked checked(version, {{"Connection", value}});
    ASSERT_TRUE(accepts(checked.verdict)) << value;
    EXPECT_EQ(checked.semantics.keep_alive, keep_alive) << value;
  }
  EXPECT_TRUE(Checked(http_1_1, {}).semantics.keep_alive);
  EXPECT_FALSE(Checked(http_1_0, {}).semantics.keep_alive);
}

TEST(Connection, LinesAreJoined) {
  const Checked checked(http_1_1, {{"Connection", "keep-alive"}, {"Connection", "close"}});
  EXPECT_FALSE(checked.semantics.keep_alive);
}

TEST(Connection, IsAListOfTokens) {
  for (const auto value :
       {"close;q=1"sv, "keep alive"sv, "\"close\""sv, "a, (b)"sv, "close\xA0"sv}) {
    EXPECT_TRUE(refuses(with("Connection", value), bad_connection)) << value;
  }
}

TEST(Upgrade, NeedsTheFieldTheOptionAndHttp11) {
  EXPECT_TRUE(Checked(http_1_1, {{"Upgrade", "websocket"}, {"Connection", "keep-alive, Upgrade"}})
                  .semantics.upgrade);
  EXPECT_FALSE(Checked(http_1_1, {{"Upgrade", "websocket"}}).semantics.upgrade);
  EXPECT_FALSE(Checked(http_1_1, {{"Connection", "upgrade"}}).semantics.upgrade);
  EXPECT_FALSE(Checked(http_1_1, {{"Upgrade", " "}, {"Connection", "upgrade"}}).semantics.upgrade);
  EXPECT_FALSE(
      Checked(http_1_0, {{"Upgrade", "websocket"}, {"Connection", "upgrade"}}).semantics.upgrade);
}

// ---- chunks and trailers

TEST(Upgrade, IsAConnectsWithoutContent) {
  const auto connect = [](std::string_view name, std::string_view value) {
    RequestHead head;
    head.set_request_line("CONNECT", "a:1", http_1_1);
    head.add_field("Host", "a:1");
    head.add_field(name, value);
    RequestSemantics semantics;
    const Verdict verdict = check_header_section(head, RequestLimits(), semantics);
    EXPECT_EQ(semantics.upgrade, verdict == nullptr);
    return verdict;
  };
  EXPECT_TRUE(accepts(connect("X", "1")));
  EXPECT_TRUE(accepts(connect("Content-Length", "0")));
  EXPECT_TRUE(refuses(connect("Content-Length", "1"), connect_with_content));
  EXPECT_TRUE(refuses(connect("Transfer-Encoding", "chunked"), connect_with_content));
  EXPECT_EQ(refusal(connect_with_content).status, 400);
}

TEST(ChunkExtension, FollowsTheGrammar) {
  for (const auto extension :
       {""sv, ";a"sv, ";a=b"sv, ";a=\"b\""sv, " ; a = b"sv, "\t;\ta"sv, ";a;b=c;d=\"\""sv,
        ";a=\"\\\"\\\\ \x80\""sv, ";a=\"b;c=d\";e"sv, ";a=\"\t\""sv, ";a ;b"sv}) {
    EXPECT_TRUE(accepts(check_chunk_extension(extension, {}))) << extension;
  }
  for (const auto extension :
       {" "sv,      "a"sv,      " a"sv,          ";"sv,          "; "sv,
        ";;"sv,     ";a;"sv,    ";a "sv,         ";a="sv,        ";=b"sv,
        ";a=\""sv,  ";a=\"b"sv, ";a=\"b\\"sv,    ";a=\"b\\\""sv, ";a=\"b\"c"sv,
        ";a b"sv,   ";a=b c"sv, ";a=\"\x7F\""sv, ";a=\"\n\""sv,  ";a=\"\\\r\""sv,
        ";a=b\r"sv, "\n;a"sv,   ";a\0"sv,        ";\xC3\xA9"sv,  ";a@=b"sv}) {
    EXPECT_TRUE(refuses(check_chunk_extension(extension, {}), bad_chunk_extension)) << extension;
  }
}

TEST(ChunkExtension, IsBounded) {
  RequestLimits limits;
  limits.max_chunk_extension = 4;
  EXPECT_TRUE(accepts(check_chunk_extension(";a=b", limits)));
  EXPECT_TRUE(refuses(check_chunk_extension(";a=bc", limits), chunk_extension_too_long));
}

TEST(Trailers, AreBounded) {
  RequestLimits limits;
  limits.max_trailer_bytes = 10;
  EXPECT_TRUE(accepts(TrailerSection().add("n", "12345", false, limits)));
  EXPECT_TRUE(refuses(TrailerSection().add("n", "123456", false, limits), trailers_too_large));
  TrailerSection two;
  EXPECT_TRUE(accepts(two.add("n", "", false, limits)));
  EXPECT_EQ(two.size(), 5);
  EXPECT_TRUE(accepts(two.add("n", "", false, limits)));
  EXPECT_TRUE(refuses(two.add("n", "", false, limits), trailers_too_large));
}

TEST(Trailers, AreBoundedAsHeadersAre) {
  TrailerSection lines;
  EXPECT_TRUE(accepts(lines.add("n", "1", false, {.max_header_fields = 2})));
  EXPECT_TRUE(accepts(lines.add("Date", "1", false, {.max_header_fields = 2})));
  EXPECT_TRUE(refuses(lines.add("n", "1", false, {.max_header_fields = 2}), too_many_fields));
  EXPECT_TRUE(accepts(TrailerSection().add("n", "1", false, {.max_field_line = 4})));
  EXPECT_TRUE(
      refuses(TrailerSection().add("n", "12", false, {.max_field_line = 4}), field_line_too_long));
  EXPECT_EQ(refusal(trailers_too_large).status, 431);
}

}  // namespace
}  // namespace prowingen
