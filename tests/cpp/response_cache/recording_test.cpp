// What is written down of an answer, and when that is thrown away.
#include "response_cache/recording.h"

#include <gtest/gtest.h>

#include "response_cache/exchanges.h"

namespace prowingen::response_cache {
namespace {

constexpr std::pair<std::string_view, std::string_view> kept{"Cache-Control", "s-maxage=60"};

std::unique_ptr<Recording> begin(Exchange& exchange, Fields fields, std::uint64_t most = 1000) {
  set_head(exchange, fields);
  return Recording::begin(exchange, most, true);
}

TEST(Recording, HasTheHeadAsItLeavesAndTheWholeBody) {
  const auto exchange = request("/");
  const auto recording =
      begin(*exchange, {kept, {"ETag", "\"1\""}, {"content-type", "text/plain"}, {"Age", "5"}});
  ASSERT_TRUE(recording);
  EXPECT_TRUE(exchange->response.has_date) << "all who get it get the same";
  EXPECT_TRUE(recording->add(Chunk("one, ")));
  EXPECT_TRUE(recording->add(Chunk()));
  EXPECT_TRUE(recording->add(Chunk("two")));
  const auto entry = recording->finish();
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->body, "one, two");
  EXPECT_EQ(entry->entity_tag, "\"1\"");
  EXPECT_EQ(entry->lifetime.age.count(), 5);
  const std::string head(entry->head.wire());
  EXPECT_EQ(head.find("Age:"), std::string::npos) << head;
  EXPECT_NE(head.find("Date: "), std::string::npos) << head;
  EXPECT_NE(head.find("content-type: "), std::string::npos) << head;
  EXPECT_EQ(entry->not_modified.wire().find("content-type"), std::string::npos);
  EXPECT_EQ(entry->not_modified.status, 304);
}

TEST(Recording, WhatIsTooLongIsGivenUp) {
  const auto exchange = request("/");
  const auto recording = begin(*exchange, {kept});
  EXPECT_TRUE(recording->add(Chunk(std::string(500, 'x'))));
  EXPECT_FALSE(recording->add(Chunk(std::string(500, 'x')))) << "with its fields";

  const auto announced = request("/");
  set_head(*announced, {kept});
  announced->response_body.length_known = true;
  announced->response_body.length = 1001;
  EXPECT_FALSE(Recording::begin(*announced, 1000, true));
  EXPECT_FALSE(announced->response.has_date) << "it is none of its business";
  const std::string field(1001, 'x');
  EXPECT_FALSE(begin(*request("/"), {kept, {"X", field}}));
}

TEST(Recording, WhatIsNotAsLongAsAnnouncedIsNone) {
  const auto exchange = request("/");
  set_head(*exchange, {kept, {"Content-Length", "2"}});
  exchange->response_body.length_known = true;
  exchange->response_body.length = 2;
  const auto recording = Recording::begin(*exchange, 1000, true);
  recording->add(Chunk("1"));
  EXPECT_FALSE(recording->finish());
}

TEST(Recording, FilesAreNotRead) {
  const auto recording = begin(*request("/"), {kept});
  EXPECT_FALSE(recording->add(Chunk(FileRange(UniqueFd(), 0, 1))));
}

TEST(Recording, AnotherProtocolIsNoAnswer) {
  const auto exchange = request("/");
  set_head(*exchange, {kept});
  exchange->response_body.opaque = true;
  EXPECT_FALSE(Recording::begin(*exchange, 1000, true));
}

}  // namespace
}  // namespace prowingen::response_cache
