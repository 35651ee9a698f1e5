#include "compression/rules.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "core/options.h"

namespace prowingen::compression {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

ResponseHead answer(const Fields& fields, int status = 200) {
  ResponseHead head;
  head.status = status;
  for (const auto& [name, value] : fields) head.add_field(name, value);
  return head;
}

std::string fields_of(const ResponseHead& head) { return std::string(head.wire()); }

const Fields page{{"Content-Type", "text/html; charset=utf-8"}};

TEST(Compression, IsForTextThatIsLongEnough) {
  const Rules rules{Options()};
  EXPECT_TRUE(rules.may_compress(answer(page), 500));
  EXPECT_TRUE(rules.may_compress(answer(page), std::nullopt));
  EXPECT_FALSE(rules.may_compress(answer(page), 499));
  EXPECT_FALSE(rules.may_compress(answer({{"Content-Type", "image/png"}}), 5000));
  EXPECT_FALSE(rules.may_compress(answer({}), 5000));
}

TEST(Compression, OfNothingIsNothing) {
  Options options;
  options.compress_min_size = 0;
  EXPECT_FALSE(Rules(options).may_compress(answer(page), 0));
  EXPECT_TRUE(Rules(options).may_compress(answer(page), 1));
}

TEST(Compression, IsNotForAnswersWithoutContentOrWithAPart) {
  const Rules rules{Options()};
  for (const int status : {101, 103, 204, 205, 206, 304}) {
    EXPECT_FALSE(rules.may_compress(answer(page, status), std::nullopt)) << status;
  }
  for (const int status : {200, 201, 203, 404, 416, 500}) {
    EXPECT_TRUE(rules.may_compress(answer(page, status), std::nullopt)) << status;
  }
}

TEST(Compression, LeavesWhatTheApplicationSpeaksFor) {
  const Rules rules{Options()};
  for (const auto& [name, value] : Fields{{"content-encoding", "identity"},
                                          {"CONTENT-RANGE", "bytes */9"},
                                          {"Repr-Digest", "sha-256=:AA==:"},
                                          {"Cache-Control", "max-age=9,No-Transform"}}) {
    EXPECT_FALSE(rules.may_compress(answer({page[0], {name, value}}), 5000)) << name;
  }
  EXPECT_TRUE(rules.may_compress(answer({page[0], {"Cache-Control", "x=no-transform"}}), 5000));
}

TEST(Compression, IsSaidInTheHead) {
  auto head = answer({{"Content-Type", "text/html"},
                      {"Content-Length", "9"},
                      {"ETag", "\"a\""},
                      {"Vary", "Cookie"},
                      {"Accept-Ranges", "bytes"},
                      {"Set-Cookie", "a=1"},
                      {"Set-Cookie", "b=2"}});
  head.has_date = head.closes = true;
  head.reason = "Fine";
  mark_head(head, Coding::brotli);
  EXPECT_EQ(fields_of(head),
            "Content-Type: text/html\r\nETag: W/\"a\"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
            "Vary: Cookie, Accept-Encoding\r\nContent-Encoding: br\r\n");
  EXPECT_TRUE(head.has_date && head.closes && !head.has_server);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.reason, "Fine");
}

TEST(Compression, ThatTheClientDidNotWantIsStillSaidToDependOnIt) {
  auto head = answer({{"Content-Length", "9"}, {"ETag", "\"a\""}});
  mark_head(head, std::nullopt);
  EXPECT_EQ(fields_of(head), "Content-Length: 9\r\nETag: \"a\"\r\nVary: Accept-Encoding\r\n");
}

TEST(Compression, LeavesWeakTagsAndFullVaryAlone) {
  auto head = answer({{"ETag", "W/\"a\""}, {"Vary", ""}, {"Vary", "*"}});
  mark_head(head, Coding::gzip);
  EXPECT_EQ(fields_of(head), "ETag: W/\"a\"\r\nVary: *\r\nContent-Encoding: gzip\r\n");
}

TEST(Compression, OfNotModifiedIsSaidToWhoHasWhatWasCoded) {
  const auto marked = [](const char* asked, const char* tag) {
    RequestHead request;
    request.add_field("if-none-match", asked);
    auto head = answer({{"ETag", tag}}, 304);
    mark_not_modified(head, request);
    return fields_of(head);
  };
  EXPECT_EQ(marked("\"b\", W/\"a\"", "\"a\""), "ETag: W/\"a\"\r\nVary: Accept-Encoding\r\n");
  EXPECT_EQ(marked("\"a\"", "\"a\""), "ETag: \"a\"\r\n");
  EXPECT_EQ(marked("W/\"a\"", "W/\"a\""), "ETag: W/\"a\"\r\n") << "the application's own";
}

TEST(Compression, TakesDigestsOfOtherOctetsOutOfTrailers) {
  auto trailers = std::make_unique<FieldSection>();
  trailers->add_field("content-digest", "sha-256=:AA==:");
  trailers->add_field("X-Rows", "9");
  trailers = without_digests(std::move(trailers));
  ASSERT_TRUE(trailers);
  EXPECT_EQ(trailers->wire(), "X-Rows: 9\r\n");
  auto alone = std::make_unique<FieldSection>();
  alone->add_field("Repr-Digest", "sha-256=:AA==:");
  EXPECT_FALSE(without_digests(std::move(alone)));
  EXPECT_FALSE(Rules(Options()).may_compress(
      answer({page[0], {"Trailer", "X-Rows, Content-Digest"}}), 5000));
}

TEST(Offers, AreReadAsTheOptionWritesThem) {
  EXPECT_EQ(parse_offer("gzip:9").level, 9);
  EXPECT_EQ(parse_offer("br:0").coding, Coding::brotli);
  EXPECT_EQ(parse_offer("zstd").level, 3);
  for (const char* text :
       {"", "deflate", "gzip:", "gzip:0", "gzip:10", "br:12", "zstd:-1", "zstd:3 ", "zstd:20"}) {
    EXPECT_THROW(parse_offer(text), std::logic_error) << text;
  }
}

TEST(MediaTypePatterns, StandForWhatTheyBeginAndEndWith) {
  const MediaTypePatterns patterns({"text/*", "*+json", "application/wasm", "image/*+xml"});
  for (const char* type : {"text/html", "TEXT/Plain; charset=x", "application/ld+JSON",
                           "application/wasm", "image/svg+xml ; a=b"}) {
    EXPECT_TRUE(patterns.match(type)) << type;
  }
  for (const char* type : {"", "text", "application/json", "application/wasmx", "image/png",
                           "image/+xm", "application/x+json2"}) {
    EXPECT_FALSE(patterns.match(type)) << type;
  }
}

}  // namespace
}  // namespace prowingen::compression
