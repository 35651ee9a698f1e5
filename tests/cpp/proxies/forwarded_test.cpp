// Forwarded and X-Forwarded-*: what is believed of them.
#include "proxies/forwarded.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prowingen {
namespace {

using namespace std::literals;
using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;
using enum ForwardedRules::Family;

ForwardedRules rules(ForwardedRules::Family family) {
  const std::vector<std::string> proxies{"10.0.0.0/8", "fd00::/8"};
  ForwardedRules all;
  all.trusted = Networks(proxies);
  all.family = family;
  all.host = all.port = all.prefix = true;
  return all;
}

RequestHead head_of(Fields fields) {
  RequestHead head;
  head.set_request_line("GET", "/", {1, 1});
  for (const auto& [name, value] : fields) head.add_field(name, value);
  return head;
}

ForwardedFacts facts(Fields fields, ForwardedRules::Family family = x_forwarded) {
  return read_forwarded(head_of(fields), rules(family));
}

std::string client(std::string_view value) {
  return facts({{"X-Forwarded-For", value}}).client_address;
}

std::string forwarded_client(std::string_view value) {
  return facts({{"Forwarded", value}}, forwarded).client_address;
}

// ---------------------------------------------------------------------------- X-Forwarded-For

TEST(XForwardedFor, NamesTheFirstFromTheRightThatIsNoProxy) {
  EXPECT_EQ(client("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(client("6.6.6.6, 192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(client("6.6.6.6, 192.0.2.1, 10.0.0.2"), "192.0.2.1");
  EXPECT_EQ(client("6.6.6.6,192.0.2.1,10.0.0.2,fd00::3"), "192.0.2.1");
  EXPECT_EQ(client("10.6.6.6, 192.0.2.1, 10.0.0.2"), "192.0.2.1");
}

TEST(XForwardedFor, NamesTheLeftmostWhereAllAreProxies) {
  EXPECT_EQ(client("10.0.0.1, 10.0.0.2"), "10.0.0.1");
}

TEST(XForwardedFor, OfSeveralLinesIsOneList) {
  EXPECT_EQ(facts({{"X-Forwarded-For", "6.6.6.6"},
                   {"Host", "a"},
                   {"x-forwarded-FOR", "192.0.2.1"},
                   {"X-Forwarded-For", "10.0.0.2, 10.0.0.3"}})
                .client_address,
            "192.0.2.1");
}

TEST(XForwardedFor, HasSpacesAndEmptyElementsThatMeanNothing) {
  EXPECT_EQ(client("6.6.6.6,,\t192.0.2.1 , ,10.0.0.2,"), "192.0.2.1");
  EXPECT_EQ(client(", ,"), "");
  EXPECT_EQ(client(""), "");
}

TEST(XForwardedFor, MayHavePortsAndBrackets) {
  for (const auto& [value, address, port] :
       {std::tuple{"192.0.2.1:1234"sv, "192.0.2.1"sv, "1234"sv},
        {"[2001:db8::1]:1234"sv, "2001:db8::1"sv, "1234"sv},
        {"[2001:db8::1]"sv, "2001:db8::1"sv, ""sv},
        {"2001:db8::1"sv, "2001:db8::1"sv, ""sv},
        {"::ffff:192.0.2.1"sv, "192.0.2.1"sv, ""sv}}) {
    const auto found = facts({{"X-Forwarded-For", value}});
    EXPECT_EQ(found.client_address, address) << value;
    EXPECT_EQ(found.client_port, port) << value;
  }
}

TEST(XForwardedFor, EndsAtWhatIsNoAddress) {
  for (const auto wrong : {"x"sv, "192.0.2.999"sv, "192.0.2.1:"sv, "192.0.2.1:x"sv,
                           "192.0.2.1:65536"sv, "[192.0.2.1]"sv, "[::1"sv, "::1]"sv, "[::1]x"sv,
                           "[]"sv, "fe80::1%eth0"sv, "\"192.0.2.1\""sv, "192.0.2.1 192.0.2.2"sv,
                           "localhost"sv, "_hidden"sv, "unknown"sv, "UNKNOWN"sv}) {
    const std::string text(wrong);
    EXPECT_EQ(client("192.0.2.9, " + text + ", 10.0.0.2"), "10.0.0.2") << wrong;
    EXPECT_EQ(client("192.0.2.9, " + text), "") << wrong;
    EXPECT_EQ(client(text + ", 192.0.2.9"), "192.0.2.9") << wrong;
  }
}

TEST(XForwardedFor, IsNotReadUnlessItIsBelieved) {
  auto some = rules(x_forwarded);
  some.client = false;
  const auto head = head_of({{"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-Proto", "a, https"}});
  EXPECT_EQ(read_forwarded(head, some).client_address, "");
  EXPECT_EQ(read_forwarded(head, some).scheme, "https");
}

TEST(XForwardedFor, IsNotTheOtherFamilyNorAnotherName) {
  const auto head = {std::pair{"X-Forwarded-For"sv, "192.0.2.1"sv},
                     {"X-Forwarded-Proto"sv, "https"sv}};
  EXPECT_EQ(facts(head, forwarded).client_address, "");
  EXPECT_EQ(facts(head, forwarded).scheme, "");
  EXPECT_EQ(facts({{"Forwarded", "for=192.0.2.1"}}).client_address, "");
  for (const auto name :
       {"X_Forwarded_For"sv, "X-Forwarded_For"sv, "X-Forwarded-For2"sv, "X-Real-IP"sv}) {
    EXPECT_EQ(facts({{name, "192.0.2.1"}}).client_address, "") << name;
  }
}

// ---------------------------------------------------------------------------- other fields

std::string_view scheme(std::string_view addresses, std::string_view schemes) {
  return facts({{"X-Forwarded-For", addresses}, {"X-Forwarded-Proto", schemes}}).scheme;
}

TEST(XForwardedProto, BelongsToTheClientsRequestWhereTheListsAreEquallyLong) {
  EXPECT_EQ(scheme("192.0.2.1, 10.0.0.2", "https, http"), "https");
  EXPECT_EQ(scheme("192.0.2.1, 10.0.0.2", "http, https"), "http");
  EXPECT_EQ(scheme("6.6.6.6, 192.0.2.1, 10.0.0.2", "https, http, https"), "http");
  EXPECT_EQ(scheme("6.6.6.6, 192.0.2.1", "https, http"), "http");
}

TEST(XForwardedProto, IsTheRightmostOtherwise) {
  EXPECT_EQ(scheme("192.0.2.1, 10.0.0.2", "https"), "https");
  EXPECT_EQ(scheme("192.0.2.1", "https, http"), "http");
  EXPECT_EQ(scheme("192.0.2.1, 10.0.0.2", "https, https, http"), "http");
  EXPECT_EQ(facts({{"X-Forwarded-Proto", "http, https"}}).scheme, "https");
  EXPECT_EQ(facts({{"X-Forwarded-Proto", "http"}, {"X-Forwarded-Proto", "https"}}).scheme, "https");
}

TEST(XForwardedProto, IsHttpOrHttps) {
  EXPECT_EQ(scheme("192.0.2.1", "HTTPS"), "https");
  for (const auto wrong :
       {""sv, "ftp"sv, "https:"sv, "on"sv, "ws"sv, "https http"sv, "\"https\""sv}) {
    EXPECT_EQ(scheme("192.0.2.1", wrong), "") << wrong;
  }
}

TEST(XForwardedProto, OfAClientThatIsNotNamedIsStillItsRequests) {
  EXPECT_EQ(scheme("unknown, 10.0.0.2", "https, http"), "https");
  EXPECT_EQ(scheme("unknown", "https"), "https");
  EXPECT_EQ(scheme("garbage!", "https"), "https");
}

TEST(XForwardedHost, IsAnAuthority) {
  const auto host = [](std::string_view value) {
    return facts({{"X-Forwarded-Host", value}}).host;
  };
  EXPECT_EQ(host("example.org"), "example.org");
  EXPECT_EQ(host("[::1]:8443"), "[::1]:8443");
  EXPECT_EQ(host("a.example, b.example:80"), "b.example:80");
  for (const auto wrong : {"a b"sv, "a/b"sv, "user@a"sv, "http://a"sv, "a:x"sv, "[::1"sv, "a\x80"sv,
                           "a%2Fb"sv, "user%40a"sv, "a%00"sv, "a%3a1"sv}) {
    EXPECT_EQ(host(wrong), "") << wrong;
  }
}

TEST(XForwardedPort, IsANumber) {
  const auto port = [](std::string_view value) {
    return facts({{"X-Forwarded-Port", value}}).port;
  };
  EXPECT_EQ(port("8443"), "8443");
  for (const auto wrong : {"0"sv, "x"sv, "65536"sv, "080"sv, "-1"sv}) EXPECT_EQ(port(wrong), "");
}

TEST(XForwardedPrefix, IsAPath) {
  const auto prefix = [](std::string_view value) {
    return facts({{"X-Forwarded-Prefix", value}}).prefix;
  };
  EXPECT_EQ(prefix("/app"), "/app");
  EXPECT_EQ(prefix("/app/"), "/app");
  EXPECT_EQ(prefix("/a/b%20c"), "/a/b c");
  EXPECT_EQ(prefix("/a%2Fb%2f"), "/a/b");
  EXPECT_EQ(prefix("/%c3%A9"), "/\xC3\xA9");
  EXPECT_EQ(prefix("/100%25"), "/100%");
  EXPECT_EQ(prefix("/"), "");
  for (const auto wrong :
       {"app"sv, "//evil.example"sv, "/a?b"sv, "/a#b"sv, "/a b"sv, "/a\x01"sv, "/%zz"sv,
        "/\\evil"sv, "http://a/"sv, "/a\xC3\xA9"sv, "/%2fevil"sv, "/%5Cevil"sv, "/%09/evil"sv,
        "/%0d%0aX"sv, "/a%00b"sv, "/a%3Fb"sv, "/a%23b"sv, "/a%7f"sv, "%2fa"sv}) {
    EXPECT_EQ(prefix(wrong), "") << wrong;
  }
}

// ---------------------------------------------------------------------------- Forwarded

TEST(Forwarded, NamesTheFirstFromTheRightThatIsNoProxy) {
  EXPECT_EQ(forwarded_client("for=192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(forwarded_client("FOR=6.6.6.6, For=192.0.2.1;proto=https, for=10.0.0.2"), "192.0.2.1");
  EXPECT_EQ(forwarded_client("for=10.0.0.1, for=10.0.0.2"), "10.0.0.1");
  EXPECT_EQ(
      facts({{"Forwarded", "for=6.6.6.6"}, {"Forwarded", "for=192.0.2.1, for=10.0.0.2"}}, forwarded)
          .client_address,
      "192.0.2.1");
}

TEST(Forwarded, HasNodesOfRfc7239Section6) {
  for (const auto& [value, address, port] :
       {std::tuple{"for=\"192.0.2.1:1234\""sv, "192.0.2.1"sv, "1234"sv},
        {"for=\"[2001:db8::1]:1234\""sv, "2001:db8::1"sv, "1234"sv},
        {"For=\"[2001:db8:cafe::17]\""sv, "2001:db8:cafe::17"sv, ""sv},
        {"for=\"192.0.2.1:_port\""sv, "192.0.2.1"sv, ""sv},
        {"for=\"192.0.\\2.1\""sv, "192.0.2.1"sv, ""sv}}) {
    const auto found = facts({{"Forwarded", value}}, forwarded);
    EXPECT_EQ(found.client_address, address) << value;
    EXPECT_EQ(found.client_port, port) << value;
  }
}

TEST(Forwarded, EndsAtAnElementThatIsMalformed) {
  for (const auto* wrong :
       {"for", "for=", "=192.0.2.1", "for=192.0.2.1;for=192.0.2.2", "for=192.0.2.1:80", "for=[::1]",
        "for=\"::1\"", "for=\"[192.0.2.1]\"", "for = 192.0.2.1", "for=192.0.2.1 x",
        "for=\"192.0.2.1", "for=192.0.2.1\"", "for=\"192.0.2.1\"x", "for=host.example", "for=_",
        "f@r=192.0.2.1", "for=\"fe80::1%eth0\"", "for=192.0.2.1;proto"}) {
    const std::string text(wrong);
    EXPECT_EQ(forwarded_client("for=192.0.2.9, " + text + ", for=10.0.0.2"), "10.0.0.2") << wrong;
    EXPECT_EQ(forwarded_client(text + ", for=192.0.2.9"), "192.0.2.9") << wrong;
  }
}

TEST(Forwarded, AQuotationMarkThatNeverClosesHidesNothing) {
  EXPECT_EQ(forwarded_client("for=\", for=192.0.2.1, for=10.0.0.2"), "192.0.2.1");
  EXPECT_EQ(forwarded_client("for=6.6.6.6;x=\"\\, for=192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(forwarded_client("x=\"a, for=\"192.0.2.1\""), "192.0.2.1");
  EXPECT_EQ(
      facts({{"Forwarded", "for=\""}, {"Forwarded", "for=192.0.2.1"}}, forwarded).client_address,
      "192.0.2.1");
}

TEST(Forwarded, MayHaveCommasAndQuotationMarksInStrings) {
  EXPECT_EQ(forwarded_client("for=6.6.6.6, for=192.0.2.1;x=\"a, for=7.7.7.7\\\", b\\\\\""),
            "192.0.2.1");
  EXPECT_EQ(forwarded_client("for=192.0.2.1;x=\"\\\\\\\",\", for=10.0.0.2;y=\",\""), "192.0.2.1");
}

TEST(Forwarded, SaysAllOfOneRequestInOneElement) {
  const auto of = [](std::string_view value) { return facts({{"Forwarded", value}}, forwarded); };
  const auto found =
      of("for=192.0.2.1;host=\"a.example:8443\";PROTO=https;by=10.0.0.1 , for=10.0.0.2;proto=http;"
         "host=internal");
  EXPECT_EQ(found.client_address, "192.0.2.1");
  EXPECT_EQ(found.scheme, "https");
  EXPECT_EQ(found.host, "a.example:8443");
  // Nothing is taken from another hop.
  EXPECT_EQ(of("for=192.0.2.1, for=10.0.0.2;proto=https").scheme, "");
  EXPECT_EQ(of("for=6.6.6.6;proto=https, for=192.0.2.1;proto=http").scheme, "http");
}

TEST(Forwarded, OfAClientThatIsNotNamedIsStillItsRequests) {
  for (const auto node : {"unknown"sv, "_hidden"sv, "\"_hidden:_port\""sv, "Unknown"sv}) {
    const std::string element = "for=" + std::string(node) + ";proto=https";
    const auto alone = facts({{"Forwarded", element}}, forwarded);
    EXPECT_EQ(alone.client_address, "") << node;
    EXPECT_EQ(alone.scheme, "https") << node;
    const auto behind =
        facts({{"Forwarded", "for=6.6.6.6;proto=http, " + element + ", for=10.0.0.2;proto=http"}},
              forwarded);
    EXPECT_EQ(behind.client_address, "10.0.0.2") << node;
    EXPECT_EQ(behind.scheme, "https") << node;
  }
  EXPECT_EQ(facts({{"Forwarded", "proto=https"}}, forwarded).scheme, "https");
}

TEST(Forwarded, ToleratesSpacesAndEmptyPairs) {
  EXPECT_EQ(forwarded_client(";for=192.0.2.1 ; ;proto=https;"), "192.0.2.1");
}

TEST(Forwarded, TakesOfOneElementAloneWhatDoesNotDependOnTheClient) {
  auto some = rules(forwarded);
  some.client = false;
  const auto head = head_of({{"Forwarded", "for=10.0.0.1;proto=http, for=10.0.0.2;proto=https"}});
  EXPECT_EQ(read_forwarded(head, some).scheme, "https");
  EXPECT_EQ(read_forwarded(head, some).client_address, "");
}

}  // namespace
}  // namespace prowingen
