#include "core/https_redirect.h"

#include <gtest/gtest.h>

namespace prowingen {
namespace {

TEST(HttpsRedirectTest, TheUsualPortIsNotNamed) {
  EXPECT_EQ(https_location("/a?b", "example.org:80", ""), "https://example.org/a?b");
  EXPECT_EQ(https_location("/a?b", "example.org:80", ":8443"), "https://example.org:8443/a?b");
  EXPECT_EQ(https_location("/", "[::1]:8080", ":8443"), "https://[::1]:8443/");
}

TEST(HttpsRedirectTest, ATargetThatNamesTheHostWinsOverHost) {
  EXPECT_EQ(https_location("http://a.example:80/x?", "b.example", ""), "https://a.example/x?");
  EXPECT_EQ(https_location("http://a.example", "b.example", ""), "https://a.example/");
  EXPECT_EQ(https_location("http://a.example?q", "b.example", ""), "https://a.example/?q");
}

TEST(HttpsRedirectTest, TheServerAsAWholeHasNoPath) {
  EXPECT_EQ(https_location("*", "example.org", ""), "https://example.org");
}

TEST(HttpsRedirectTest, WithoutAHostThereIsNowhereToGo) {
  EXPECT_EQ(https_location("/a", "", ""), "");
}

}  // namespace
}  // namespace prowingen
