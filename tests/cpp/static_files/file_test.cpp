#include "static_files/file.h"

#include <gtest/gtest.h>

namespace prowingen::static_files {
namespace {

TEST(Folder, NothingHiddenIsShown) {
  for (const char* path : {"a", "a/b.c", "", "a/", ".well-known/x", "a..b", "a/b..", "-", "~"}) {
    EXPECT_TRUE(may_be_shown(path)) << path;
  }
  for (const char* path : {".", "..", "a/..", "../a", ".env", "a/.env", "a/./b", "a//b", "/a", "//",
                           "a/.well-known", "..."}) {
    EXPECT_FALSE(may_be_shown(path)) << path;
  }
  EXPECT_FALSE(may_be_shown(std::string_view("a\0.css", 6)));
}

std::shared_ptr<const File> file_of(std::size_t size, const std::shared_ptr<HeldContent>& held) {
  auto file = std::make_shared<File>(held);
  file->representations.emplace_back().content.assign(size, 'x');
  file->count();
  return file;
}

Chunk lend(const std::shared_ptr<const File>& file) {
  return file->representations.front().part(0, 3, file);
}

TEST(File, ItsContentIsNotChargedToAnswersWhileAsMuchAsTheCacheMayHaveIsThere) {
  const auto held = std::make_shared<HeldContent>(1000);
  const auto one = file_of(600, held);
  const Chunk early = lend(one);
  EXPECT_EQ(early.size(), 3U);
  EXPECT_EQ(early.memory(), 0U);
  {
    // Somebody reads slowly what the cache has dropped, and asks for what takes its place.
    const auto other = file_of(600, held);
    EXPECT_EQ(lend(other).memory(), 3U);
    EXPECT_EQ(lend(one).memory(), 3U);
  }
  EXPECT_EQ(lend(one).memory(), 0U) << "it is gone again";
  EXPECT_EQ(lend(file_of(10, nullptr)).memory(), 3U) << "nobody bounds it";
}

TEST(File, ItCountsForAsLongAsSomebodyHasIt) {
  const auto held = std::make_shared<HeldContent>(1000);
  auto file = file_of(1001, held);
  EXPECT_FALSE(held->is_in_bounds());
  {
    const Chunk lent = lend(file);
    file.reset();
    EXPECT_FALSE(held->is_in_bounds());
  }
  EXPECT_TRUE(held->is_in_bounds());
}

TEST(File, AHashIsHexadecimalAndNoNumber) {
  for (const char* name : {"a.0123456789ab.css", "a.b.DEADBEEFDEADBEEF.js", ".0123456789ab.css"}) {
    EXPECT_TRUE(has_hash(name)) << name;
  }
  for (const char* name : {"a.css", "a.202511270815.css", "a.0123456789a.css", "0123456789ab.css",
                           "a.0123456789ab", "a-0123456789ab.css", "a.0123456789ag.css", ""}) {
    EXPECT_FALSE(has_hash(name)) << name;
  }
}

TEST(File, ATypeIsTheLastSuffixs) {
  const MediaTypes types{{".css", "text/css"},
                         {".js", "text/javascript"},
                         {".gz", "application/gzip"},
                         {".svg", "image/svg+xml"}};
  EXPECT_EQ(content_type("a.b.css", types), "text/css; charset=utf-8");
  EXPECT_EQ(content_type("A.JS", types), "text/javascript; charset=utf-8");
  EXPECT_EQ(content_type("a.tar.gz", types), "application/gzip");
  EXPECT_EQ(content_type("a.svg", types), "image/svg+xml");
  for (const char* name : {"css", "a", "a.", "a.other", ".css"}) {
    EXPECT_EQ(content_type(name, types), "application/octet-stream") << name;
  }
}

}  // namespace
}  // namespace prowingen::static_files
