#include "http/request_target.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "http/verdicts.h"

namespace prowingen {
namespace {

using namespace std::literals;
using enum RequestFault;

TEST(RequestTarget, OriginFormIsAPathWithAnOptionalQuery) {
  for (const auto target : {"/"sv, "/a/b.html"sv, "//a"sv, "/a;p=1/~x:@!$&'()*+,=-._"sv, "/?"sv,
                            "/a?b=c&d"sv, "/a?b?c/d"sv, "/a?http://b/"sv}) {
    EXPECT_TRUE(accepts(check_target("GET", target))) << target;
  }
}

TEST(RequestTarget, UnencodedCharactersThatBrowsersSendAreAccepted) {
  for (const auto target : {"/a|b^c[0]{d}`\"<>"sv, "/?a[]=1&b={c}|^`\"<>\\"sv}) {
    EXPECT_TRUE(accepts(check_target("GET", target))) << target;
  }
}

TEST(RequestTarget, FragmentBackslashInPathAndEmptyTargetAreRefused) {
  for (const auto target : {""sv, "/a#b"sv, "/?a#b"sv, "#"sv, "/a\\b"sv, "/\\"sv, "http://a/b#c"sv,
                            "http://a/b\\c"sv}) {
    EXPECT_TRUE(refuses(check_target("GET", target), bad_target)) << target;
  }
}

TEST(RequestTarget, OctetsOutsideVisibleAsciiAreRefusedEverywhere) {
  for (unsigned c = 0; c < 256; ++c) {
    if (c > 0x20 && c < 0x7F) continue;
    for (const auto* form : {"/", "/a", "/a?", "/a?b", "*", "http://h/", "http://h/?q"}) {
      const auto target = std::string(form) + static_cast<char>(c);
      EXPECT_TRUE(refuses(check_target("OPTIONS", target), bad_target)) << target;
    }
  }
}

TEST(RequestTarget, PercentEncodingOfThePathIsTwoHexadecimalDigits) {
  for (const auto target : {"/%41"sv, "/%c3%A9"sv, "/%00"sv, "/%2F%3f"sv, "/a%20b?c"sv}) {
    EXPECT_TRUE(accepts(check_target("GET", target))) << target;
  }
  for (const auto target : {"/%"sv, "/%4"sv, "/%4g"sv, "/%g4"sv, "/100%/b"sv, "/%%41"sv, "/%?41"sv,
                            "/% 1"sv, "http://h/%"sv}) {
    EXPECT_TRUE(refuses(check_target("GET", target), bad_target_encoding)) << target;
  }
}

TEST(RequestTarget, PercentSignsInTheQueryAreLeftToTheApplication) {
  EXPECT_TRUE(accepts(check_target("GET", "/?q=100%&r=%zz")));
}

TEST(RequestTarget, AbsoluteFormIsAnHttpUri) {
  for (const auto target :
       {"http://a"sv, "https://a"sv, "HTTP://A.example:8080/b?c"sv, "http://a?b"sv, "http://a:/"sv,
        "http://[::1]:80/"sv, "http://127.0.0.1/"sv, "http://a/b@c:d"sv}) {
    EXPECT_TRUE(accepts(check_target("GET", target))) << target;
  }
}

TEST(RequestTarget, AbsoluteFormWithoutAValidHostIsRefused) {
  for (const auto target :
       {"http://"sv, "http:///a"sv, "http://?a"sv, "http://:80/"sv, "http://user@a/"sv,
        "http://user:pw@a/"sv, "http://a:b/"sv, "http://a:65536/"sv, "http://[::1/"sv,
        "http://a,b/"sv, "http://a\\b/"sv}) {
    EXPECT_TRUE(refuses(check_target("GET", target), bad_target_authority)) << target;
  }
}

TEST(RequestTarget, OtherFormsAreRefused) {
  for (const auto target : {"a"sv, "a/b"sv, "?a"sv, "ftp://a/"sv, "ws://a/"sv, "http:/a"sv,
                            "http:a"sv, "mailto:a"sv, "example.com:443"sv, "**"sv, "*a"sv, "%"sv}) {
    EXPECT_TRUE(refuses(check_target("GET", target), bad_target_form)) << target;
  }
}

TEST(RequestTarget, AsteriskFormIsForOptionsOnly) {
  EXPECT_TRUE(accepts(check_target("OPTIONS", "*")));
  EXPECT_TRUE(accepts(check_target("OPTIONS", "/a")));
  for (const auto method : {"GET"sv, "HEAD"sv, "options"sv, "PRI"sv}) {
    EXPECT_TRUE(refuses(check_target(method, "*"), bad_target_form)) << method;
  }
}

TEST(RequestTarget, AuthorityFormIsForConnectOnly) {
  EXPECT_TRUE(accepts(check_target("CONNECT", "example.com:443")));
  EXPECT_TRUE(accepts(check_target("CONNECT", "[::1]:443")));
  for (const auto target :
       {""sv, "/"sv, "*"sv, "example.com"sv, "example.com:"sv, ":443"sv, "http://a:80"sv}) {
    EXPECT_TRUE(refuses(check_target("CONNECT", target), bad_target_form)) << target;
  }
}

struct Split {
  std::string_view target;
  TargetForm form;
  std::string_view scheme, authority, path, query;
};

TEST(RequestTarget, IsTakenApart) {
  for (const auto& [target, form, scheme, authority, path, query] : {
           Split{"/", TargetForm::origin, "", "", "/", ""},
           Split{"/a%20b?c?d", TargetForm::origin, "", "", "/a%20b", "c?d"},
           Split{"//a", TargetForm::origin, "", "", "//a", ""},
           Split{"/?", TargetForm::origin, "", "", "/", ""},
           Split{"*", TargetForm::asterisk, "", "", "*", ""},
           Split{"http://h", TargetForm::absolute, "http", "h", "/", ""},
           Split{"http://h?q", TargetForm::absolute, "http", "h", "/", "q"},
           Split{"HTTPS://h:1/p?q", TargetForm::absolute, "HTTPS", "h:1", "/p", "q"},
           Split{"http://[::1]:8/", TargetForm::absolute, "http", "[::1]:8", "/", ""},
           Split{"h:443", TargetForm::authority, "", "h:443", "", ""},
       }) {
    const auto parts = split_target(target);
    EXPECT_EQ(parts.form, form) << target;
    EXPECT_EQ(parts.scheme, scheme) << target;
    EXPECT_EQ(parts.authority, authority) << target;
    EXPECT_EQ(parts.path, path) << target;
    EXPECT_EQ(parts.query, query) << target;
  }
}

TEST(RequestTarget, AuthorityIsAHostWithAnOptionalPort) {
  for (const auto authority :
       {"a"sv, "example.com"sv, "example.com."sv, "EXAMPLE_1.com:8000"sv, "127.0.0.1:1"sv, "a:"sv,
        "a:0"sv, "a:65535"sv, "a:00080"sv, "a%2Db"sv, "caf%C3%A9.example"sv, "a!$&'()*+;=~b"sv,
        "[::]"sv, "[::1]:80"sv, "[2001:db8:0:0:0:0:0:1]"sv, "[2001:DB8::ff]:"sv,
        "[::ffff:127.0.0.1]"sv, "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]"sv}) {
    EXPECT_TRUE(is_valid_authority(authority)) << authority;
  }
  for (const auto authority : {""sv,
                               ":"sv,
                               ":80"sv,
                               "a:b"sv,
                               "a:80:80"sv,
                               "a:65536"sv,
                               "a:99999999999999999999"sv,
                               "a:-1"sv,
                               "a:+1"sv,
                               "a: 1"sv,
                               "a b"sv,
                               " a"sv,
                               "a\t"sv,
                               "a,b"sv,
                               "a, b"sv,
                               "a@b"sv,
                               "a/b"sv,
                               "a\\b"sv,
                               "a?b"sv,
                               "a#b"sv,
                               "http://a"sv,
                               "a%"sv,
                               "a%2"sv,
                               "a%zz"sv,
                               "a%2fb"sv,
                               "a%5Cb"sv,
                               "a%40b"sv,
                               "a%3A80"sv,
                               "a%00b"sv,
                               "a%0d%0a"sv,
                               "a%20b"sv,
                               "a%25b"sv,
                               "a\"b"sv,
                               "a<b>"sv,
                               "a\0b"sv,
                               "a\x7F"sv,
                               "caf\xC3\xA9"sv,
                               "::1"sv,
                               "[]"sv,
                               "["sv,
                               "]"sv,
                               "[::1"sv,
                               "::1]"sv,
                               "[::1]a"sv,
                               "[::1]80"sv,
                               "[::1%25eth0]"sv,
                               "[fe80::1%eth0]"sv,
                               "[v1.a]"sv,
                               "[1.2.3.4]"sv,
                               "[12345::]"sv,
                               "[1:2:3:4:5:6:7:8:9]"sv,
                               "[::1\0]"sv,
                               "[ ::1]"sv,
                               "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"sv}) {
    EXPECT_FALSE(is_valid_authority(authority)) << authority;
  }
}

}  // namespace
}  // namespace prowingen
