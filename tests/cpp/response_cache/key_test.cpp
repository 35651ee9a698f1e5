// Which requests are the same to a cache.
#include "response_cache/key.h"

#include <gtest/gtest.h>

#include "response_cache/exchanges.h"

namespace prowingen::response_cache {
namespace {

std::shared_ptr<Exchange> of_host(std::string_view target, std::string_view host) {
  auto exchange = std::make_shared<Exchange>(nowhere);
  exchange->request.set_request_line("GET", target, {1, 1});
  if (!host.empty()) exchange->request.add_field("Host", host);
  exchange->peer = std::make_shared<ConnectionInfo>();
  return exchange;
}

TEST(UriKey, IsTheSameForBothFormsOfATarget) {
  EXPECT_EQ(uri_key(*of_host("/a?b", "x")), uri_key(*of_host("http://x/a?b", "y")));
  EXPECT_EQ(uri_key(*of_host("/", "x")), uri_key(*of_host("HTTP://x", "y")));
  EXPECT_EQ(uri_key(*of_host("/?q", "x")), uri_key(*of_host("http://x?q", "x")));
  EXPECT_EQ(uri_key(*of_host("*", "x")), "");
  EXPECT_EQ(uri_key(*of_host("x:1", "x")), "");
}

TEST(UriKey, TellsApartWhatAnApplicationDoes) {
  const auto plain = of_host("/a", "x");
  const auto key = uri_key(*plain);
  EXPECT_NE(key, uri_key(*of_host("/a", "X")));
  EXPECT_NE(key, uri_key(*of_host("/a", "x:80")));
  EXPECT_NE(key, uri_key(*of_host("/a?", "x")));
  EXPECT_NE(key, uri_key(*of_host("/%61", "x")));

  const auto other = of_host("/a", "x");
  other->listener = 1;
  EXPECT_NE(key, uri_key(*other));
  other->listener = 0;
  ConnectionInfo secure;
  secure.scheme = "https";
  other->peer = std::make_shared<ConnectionInfo>(secure);
  EXPECT_NE(key, uri_key(*other));
}

TEST(UriKey, WithoutAnAuthorityIsTheServersOwnAddress) {
  const auto with_address = [](std::string_view address, std::string_view host) {
    auto exchange = of_host("/a", host);
    ConnectionInfo peer;
    peer.local_address = address;
    exchange->peer = std::make_shared<ConnectionInfo>(peer);
    return uri_key(*exchange);
  };
  EXPECT_NE(with_address("1.2.3.4", ""), with_address("1.2.3.5", ""));
  EXPECT_EQ(with_address("1.2.3.4", "x"), with_address("1.2.3.5", "x"));
}

TEST(UriKey, HasWhatAProxyTellsAndNothingRunsTogether) {
  const auto told = [](std::string_view host, std::string_view port, std::string_view prefix) {
    auto exchange = of_host("/a", "inner");
    ForwardedTarget target;
    target.host = host;
    target.server_port = port;
    target.prefix = prefix;
    ConnectionInfo peer;
    peer.forwarded = std::make_shared<ForwardedTarget>(target);
    exchange->peer = std::make_shared<ConnectionInfo>(peer);
    return uri_key(*exchange);
  };
  const std::vector keys{told("a", "", ""),           told("b", "", ""),
                         told("", "1", ""),           told("", "", "/1"),
                         told("", "", "/x\n1"),       told("", "1", "/x"),
                         told("", "1", "/x\n"),       told("", "1\n", "/x"),
                         told("a", "1", ""),          uri_key(*of_host("/a", "inner")),
                         uri_key(*of_host("/a", "a"))};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(keys[i], keys[j]) << i << " and " << j;
  }
}

std::optional<FieldNames> vary(std::initializer_list<std::string_view> lines) {
  ResponseHead head;
  for (const auto line : lines) head.add_field("vary", line);
  return varies_by(head);
}

TEST(Vary, NamesAreSortedSmallAndEachThereOnce) {
  EXPECT_EQ(vary({}), FieldNames());
  EXPECT_EQ(vary({"X-B,,a ,", "A, x-b"}), (FieldNames{"a", "x-b"}));
}

TEST(Vary, WhatCannotBeToldApartIsNotKept) {
  EXPECT_FALSE(vary({"*"}));
  EXPECT_FALSE(vary({"a, *"}));
  EXPECT_FALSE(vary({"a", " * "}));
  EXPECT_FALSE(vary({"a b"}));
  EXPECT_FALSE(vary({"a;b"}));
}

std::string selected(std::initializer_list<std::pair<std::string_view, std::string_view>> fields,
                     const FieldNames& names) {
  return selected_by(request("/", fields)->request, names);
}

TEST(Selected, LinesOfAFieldAreOne) {
  const FieldNames names{"accept-language", "cookie", "x"};
  EXPECT_EQ(selected({{"x", "1"}, {"X", "2"}}, names), selected({{"X", "1,2"}}, names));
  EXPECT_EQ(selected({{"cookie", "a"}, {"Cookie", "b"}}, names),
            selected({{"cookie", "a; b"}}, names));
  EXPECT_EQ(selected({{"accept-language", "de , en"}}, names),
            selected({{"Accept-Language", "de,en"}}, names));
}

TEST(Selected, NothingElseIs) {
  const FieldNames names{"accept", "x", "y"};
  const std::vector keys{selected({}, names),
                         selected({{"x", ""}}, names),
                         selected({{"y", ""}}, names),
                         selected({{"x", "1"}}, names),
                         selected({{"x", "1"}, {"y", "2"}}, names),
                         selected({{"x", "1, 2"}}, names),
                         selected({{"x", "1,2"}}, names),
                         selected({{"x", "2"}, {"x", "1"}}, names),
                         selected({{"accept", "a;b=\"c d\""}}, names),
                         selected({{"accept", "a;b=\"cd\""}}, names),
                         selected({{"x-forwarded-host", "x"}}, names),
                         selected({{"forwarded", "host=x"}}, names),
                         selected({{"forwarded", "for=\"a\\\"\";host=x"}, {"x", "1"}}, names)};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(keys[i], keys[j]) << i << " and " << j;
  }
}

TEST(Selected, AddressesOfClientsAreNotLookedAt) {
  EXPECT_EQ(selected({{"Forwarded", "for=a;proto=http, By=b"}}, {}),
            selected({{"Forwarded", "For=\"[::1]:1,;\" ;proto=http"}}, {}));
  EXPECT_EQ(selected({{"X-Forwarded-For", "a"}}, {}), selected({}, {}));
  EXPECT_NE(selected({{"Forwarded", "for=a;proto=http"}}, {}),
            selected({{"Forwarded", "for=a;proto=https"}}, {}));
}

}  // namespace
}  // namespace prowingen::response_cache
