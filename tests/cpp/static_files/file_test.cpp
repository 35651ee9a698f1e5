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
