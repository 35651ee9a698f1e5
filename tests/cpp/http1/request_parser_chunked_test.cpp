// Bodies in the chunked coding (RFC 9112 section 7.1): sizes, extensions, trailers and limits.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "http/verdicts.h"
#include "http1/request_parser.h"

namespace prowingen::http1 {
namespace {

using namespace std::literals;
using enum RequestFault;
using Outcome = RequestParser::Outcome;

// A chunked body as it comes out of pieces of input.
class Chunked final : private BodySink {
 public:
  explicit Chunked(const RequestLimits& limits = {}) : limits_(limits) {
    const auto progress = parser_.parse_head(head_text);
    EXPECT_EQ(progress.outcome, Outcome::head_done);
    EXPECT_EQ(progress.consumed, head_text.size());
  }

  Chunked& feed(std::string_view piece) {
    input_.append(piece);
    while (!input_.empty() && !done && verdict == nullptr) {
      const auto progress = parser_.parse_body(input_);
      if (progress.outcome == Outcome::refused) {
        verdict = progress.verdict;
        break;
      }
      done = progress.outcome == Outcome::request_done;
      input_.erase(0, progress.consumed);
      if (progress.consumed == 0) break;
    }
    return *this;
  }

  const std::string& rest() const { return input_; }
  const RequestHead& head() const { return head_; }

  std::string body;
  std::string trailers;  // name=value, one a line
  bool done = false;
  Verdict verdict = nullptr;

 private:
  static constexpr std::string_view head_text =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  void on_body(std::string_view bytes) override { body.append(bytes); }
  void on_trailer(std::string_view name, std::string_view value) override {
    trailers.append(name).append("=").append(value).append("\n");
  }

  RequestLimits limits_;
  RequestHead head_;
  std::string input_;
  RequestParser parser_{head_, limits_, *this};
};

Verdict refusal_of(std::string_view body, const RequestLimits& limits = {}) {
  return Chunked(limits).feed(body).verdict;
}

testing::AssertionResult gives(std::string_view input, std::string_view body) {
  Chunked chunked;
  chunked.feed(input);
  if (chunked.verdict != nullptr) return accepts(chunked.verdict);
  if (!chunked.done) return testing::AssertionFailure() << "not done";
  if (chunked.body == body) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "got " << chunked.body;
}

// ---- what comes out

TEST(ChunkedBody, IsTheDataWithoutTheFraming) {
  EXPECT_TRUE(gives("0\r\n\r\n", ""));
  EXPECT_TRUE(gives("5\r\nhello\r\n0\r\n\r\n", "hello"));
  EXPECT_TRUE(gives("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "hello world"));
  EXPECT_TRUE(gives("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n")) << "data that looks like framing";
}

TEST(ChunkedBody, SizeIsHexadecimalInEitherCase) {
  EXPECT_TRUE(gives("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"));
  EXPECT_TRUE(gives("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"));
  EXPECT_TRUE(gives("1b\r\n" + std::string(27, 'x') + "\r\n0\r\n\r\n", std::string(27, 'x')));
}

TEST(ChunkedBody, SizeMayHaveLeadingZerosUpTo16Digits) {
  EXPECT_TRUE(gives("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello"));
  EXPECT_TRUE(refuses(refusal_of("00000000000000005\r\nhello\r\n"), bad_chunk));
  EXPECT_TRUE(refuses(refusal_of("5\r\nhello\r\n00000000000000000\r\n\r\n"), bad_chunk));
}

TEST(ChunkedBody, LeavesWhatFollowsIt) {
  Chunked chunked;
  chunked.feed("1\r\na\r\n0\r\nX-Sum: b\r\n\r\nGET / HTTP/1.1\r\n");
  EXPECT_TRUE(chunked.done);
  EXPECT_EQ(chunked.rest(), "GET / HTTP/1.1\r\n");
}

TEST(ChunkedBody, DataIsGivenBeforeItsChunkIsWhole) {
  Chunked chunked;
  chunked.feed("ffffffff\r\nhel");
  EXPECT_EQ(chunked.body, "hel");
  chunked.feed("lo");
  EXPECT_EQ(chunked.body, "hello");
  EXPECT_FALSE(chunked.done);
}

TEST(ChunkedBody, IsNotDoneBeforeTheLastLine) {
  EXPECT_FALSE(Chunked().feed("1\r\na\r\n0\r\n").done);
  EXPECT_FALSE(Chunked().feed("1\r\na\r\n0\r\n\r").done);
  EXPECT_FALSE(Chunked().feed("1\r\na\r\n0\r\nX-Sum: b\r\n").done);
}

// ---- extensions

TEST(ChunkedBody, ExtensionsAreSkipped) {
  for (const auto extension : {";a"sv, ";a=b"sv, ";a=\"b c\""sv, ";a;b=c;d=\"\\\"\""sv}) {
    const auto text = "5" + std::string(extension) + "\r\nhello\r\n0" + std::string(extension);
    EXPECT_TRUE(gives(text + "\r\n\r\n", "hello")) << extension;
  }
}

TEST(ChunkedBody, MalformedExtensionsAreRefused) {
  for (const auto extension : {";"sv, " "sv, "\t"sv, ";a="sv, ";=b"sv, ";a b"sv, "; ;"sv, ";\x01"sv,
                               ",a"sv, "x"sv, ";a\n"sv}) {
    const auto text = "5" + std::string(extension) + "\r\nhello\r\n";
    EXPECT_TRUE(refuses(refusal_of(text), bad_chunk_extension)) << text;
    const auto last = "1\r\na\r\n0" + std::string(extension) + "\r\n\r\n";
    EXPECT_TRUE(refuses(refusal_of(last), bad_chunk_extension)) << last;
  }
}

// The parser looks for the closing quote behind the line's end too, and must not find it there.
TEST(ChunkedBody, AQuotedStringEndsOnItsLine) {
  // As soon as the line has come, whatever else has.
  for (const auto text : {"5;a=\"b\r\n"sv, "0;a=\"b\r\n"sv, "1\r\na\r\n0;a=\"b\r\nX: y\r\n"sv}) {
    EXPECT_TRUE(refuses(refusal_of(text), bad_chunk_extension)) << text;
  }
  EXPECT_TRUE(refuses(refusal_of("5;a=\"b\r\nhell\"\r\n0\r\n\r\n"), bad_chunk_extension));
  Chunked chunked;
  chunked.feed("5;a=\"b\r\n" + std::string(10'000, 'x'));
  EXPECT_NE(chunked.verdict, nullptr);
  EXPECT_EQ(chunked.body, "");
}

TEST(ChunkedBody, ExtensionsAreLimited) {
  RequestLimits limits;
  limits.max_chunk_extension = 20;
  const auto chunk = [](std::size_t size) {
    return "1;" + std::string(size - 1, 'e') + "\r\na\r\n";
  };
  EXPECT_EQ(refusal_of(chunk(20), limits), nullptr);
  EXPECT_TRUE(refuses(refusal_of(chunk(21), limits), chunk_extension_too_long));
}

TEST(ChunkedBody, AnExtensionWithoutEndIsNotWaitedFor) {
  RequestLimits limits;
  limits.max_chunk_extension = 20;
  Chunked chunked(limits);
  chunked.feed("1;");
  for (int i = 0; i < 100 && chunked.verdict == nullptr; ++i) chunked.feed("e");
  EXPECT_TRUE(refuses(chunked.verdict, chunk_extension_too_long));
}

// ---- sizes and line ends

TEST(ChunkedBody, SizeThatIsNoneIsRefused) {
  for (const auto size : {""sv, "g"sv, "-5"sv, "+5"sv, " 5"sv, "\t5"sv, ";a"sv,
                          "10000000000000000"sv, "fffffffffffffffff"sv}) {
    EXPECT_TRUE(refuses(refusal_of(std::string(size) + "\r\nhello\r\n"), bad_chunk)) << size;
  }
  // Digits end where the extension should begin.
  for (const auto size : {"0x5"sv, "5h"sv, "5.0"sv, "5_0"sv}) {
    EXPECT_NE(refusal_of(std::string(size) + "\r\nhello\r\n\r\n"), nullptr) << size;
  }
}

TEST(ChunkedBody, DataOfAnotherSizeIsRefused) {
  EXPECT_TRUE(refuses(refusal_of("3\r\nhello\r\n0\r\n\r\n"), bad_chunk));
  EXPECT_TRUE(refuses(refusal_of("7\r\nhello\r\n0\r\n\r\n"), bad_chunk));
}

// RFC 9112 section 7.1 allows no other line end; a lone LF or CR is how requests are smuggled.
TEST(ChunkedBody, LinesEndWithBothCrAndLf) {
  for (const auto body :
       {"5\nhello\r\n0\r\n\r\n"sv, "5\rhello\r\n0\r\n\r\n"sv, "5\r\nhello\n0\r\n\r\n"sv,
        "5\r\nhello\r0\r\n\r\n"sv, "5;a\nb\r\nhello\r\n0\r\n\r\n"sv,
        "5;a\rb\r\nhello\r\n0\r\n\r\n"sv, "1\r\na\r\n0\r\nX-Sum: a\nOther: b\r\n\r\n"sv,
        "1\r\na\r\n0\n\r\n\r\n"sv}) {
    EXPECT_NE(refusal_of(body), nullptr) << body;
  }
}

TEST(ChunkedBody, IsLimitedBeforeItsBytesArrive) {
  RequestLimits limits;
  limits.max_body = 5;
  EXPECT_EQ(refusal_of("5\r\nhello\r\n0\r\n\r\n", limits), nullptr);
  EXPECT_EQ(refusal_of("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", limits), nullptr);
  EXPECT_TRUE(refuses(refusal_of("6\r\n", limits), body_too_large));
  EXPECT_TRUE(refuses(refusal_of("3\r\nhel\r\n3\r\n", limits), body_too_large));
  EXPECT_TRUE(refuses(refusal_of("ffffffffffffffff\r\n", limits), body_too_large));
}

TEST(ChunkedBody, SizesThatOverflowTogetherAreTooLarge) {
  EXPECT_TRUE(refuses(refusal_of("1\r\na\r\nffffffffffffffff\r\n"), body_too_large));
}

// ---- trailers

TEST(ChunkedBody, TrailersAreToldApartFromTheHead) {
  Chunked chunked;
  chunked.feed("1\r\na\r\n0\r\nX-Checksum: 1\r\nOther:\r\nX-Checksum:  2 \r\n\r\n");
  EXPECT_TRUE(chunked.done);
  EXPECT_EQ(chunked.body, "a");
  EXPECT_EQ(chunked.trailers, "X-Checksum=1\nOther=\nX-Checksum=2\n");
  EXPECT_EQ(chunked.head().fields().size(), 2U);
}

TEST(ChunkedBody, TrailersThatCameTooLateAreLost) {
  Chunked chunked;
  chunked.feed("0\r\nContent-Type: a/b\r\nX: 1\r\nIf-Match: *\r\n\r\n");
  EXPECT_TRUE(chunked.done);
  EXPECT_EQ(chunked.trailers, "X=1\n");
}

TEST(ChunkedBody, TrailersThatAreNoneAreRefused) {
  const auto trailer = [](std::string_view line) {
    return refusal_of("1\r\na\r\n0\r\n" + std::string(line) + "\r\n\r\n");
  };
  EXPECT_TRUE(refuses(trailer("Name : a"), bad_field_name));
  EXPECT_TRUE(refuses(trailer("no colon"), bad_field_name));
  EXPECT_TRUE(refuses(trailer("Name: a\x01"), bad_field_value));
  EXPECT_TRUE(refuses(trailer("Name: a\r\n b"), obs_fold));
  EXPECT_TRUE(refuses(trailer("Name:\r\n b"), obs_fold));
  EXPECT_TRUE(refuses(trailer("Host: b"), forbidden_trailer));
  EXPECT_TRUE(refuses(trailer("Authorization: b"), forbidden_trailer));
  EXPECT_TRUE(accepts(trailer("Content-Type: b")));
  EXPECT_NE(trailer("Content-Length: 5"), nullptr);
  EXPECT_NE(trailer("Transfer-Encoding: chunked"), nullptr);
}

TEST(ChunkedBody, TrailersAreLimited) {
  RequestLimits limits;
  limits.max_trailer_bytes = 100;
  const auto section = [](std::size_t size) {
    return "1\r\na\r\n0\r\nName: " + std::string(size - 8, 'v') + "\r\n\r\n";
  };
  EXPECT_EQ(refusal_of(section(100), limits), nullptr);
  EXPECT_TRUE(refuses(refusal_of(section(101), limits), trailers_too_large));
}

TEST(ChunkedBody, TrailersWithoutEndAreNotWaitedFor) {
  RequestLimits limits;
  limits.max_trailer_bytes = 100;
  Chunked chunked(limits);
  chunked.feed("1\r\na\r\n0\r\n");
  for (int i = 0; i < 1000 && chunked.verdict == nullptr; ++i) chunked.feed("Name: v\r\n");
  EXPECT_TRUE(refuses(chunked.verdict, trailers_too_large));
}

// ---- where the network cuts

TEST(ChunkedBodyCuts, MakeNoDifference) {
  std::mt19937 random(3333);
  for (const auto text :
       {"5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0\r\n\r\nGET /"sv, "1\r\na\r\n0;x\r\nA: b\r\n\r\n"sv,
        "4\r\n\r\n0\r\r\n3\r\n\n\r\n\r\n0\r\n\r\n0\r\n\r\n"sv, "3\r\nhello\r\n0\r\n\r\n"sv,
        "1\r\na\r\n0\r\nHost: b\r\n\r\n"sv, "1\r\na\r\ng\r\n\r\n"sv, "0\r\n\r\nGET /"sv,
        "0\r\nA: b\r\n\r\n"sv, "00\r\n\r\n"sv, "0;\r\n\r\n"sv, "0\r\n \r\n"sv,
        "4\r\n0\r\nx\r\n0\r\n\r\n"sv}) {
    Chunked whole;
    whole.feed(text);
    const auto compare = [&](const Chunked& cut) {
      EXPECT_EQ(cut.body, whole.body) << text;
      EXPECT_EQ(cut.verdict, whole.verdict) << text;
      EXPECT_EQ(cut.done, whole.done) << text;
      EXPECT_TRUE(!whole.done || cut.rest() == whole.rest()) << text;
    };
    for (int round = 0; round < 300; ++round) {
      const std::size_t longest = 1 + random() % 8;  // 1: byte by byte
      Chunked chunked;
      for (std::string_view rest = text; !rest.empty();) {
        const std::size_t size = std::min(rest.size(), 1 + random() % longest);
        chunked.feed(rest.substr(0, size));
        rest.remove_prefix(size);
      }
      compare(chunked);
    }
  }
}

// Data is handed on as it comes, whatever it looks like.
TEST(ChunkedBodyCuts, HoldNoDataBack) {
  Chunked chunked;
  chunked.feed("8\r\n").feed("0\r\nx");
  EXPECT_EQ(chunked.body, "0\r\nx");
  chunked.feed("0\r\nx");
  EXPECT_EQ(chunked.body, "0\r\nx0\r\nx");
}

}  // namespace
}  // namespace prowingen::http1
