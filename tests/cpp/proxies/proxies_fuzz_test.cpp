// Random input to the readers of what proxies say: nothing crashes or reads beyond its end (under
// AddressSanitizer), and what is accepted keeps its promises.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "http/request_target.h"
#include "proxies/forwarded.h"
#include "proxies/proxy_header.h"
#include "proxies/proxy_header_bytes.h"

namespace prowingen {
namespace {

// The same on every run, so that a failure can be repeated.
constexpr unsigned seed = 7239;
constexpr int rounds = 100'000;

/// A copy that ends where its allocation ends.
class Exact {
 public:
  explicit Exact(std::string_view text) : size_(text.size()), bytes_(new char[text.size()]) {
    std::ranges::copy(text, bytes_.get());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

class RandomInput {
 public:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  /// A good header with some octets changed, put in or left out.
  std::string header() {
    static const std::array good{
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"s,
        "PROXY TCP6 ::1 2001:db8::2 65535 0\r\n"s,
        "PROXY UNKNOWN x y\r\n"s,
        v2_header(0x21, 0x11, tcp4_block + tlv(0x20, "\x01\0\0\0\0"s + tlv(0x21, "TLSv1.3"))),
        v2_header(0x21, 0x31, std::string(216, 'x')),
        v2_header(0x20, 0x00, ""),
        with_checksum(0x11, tcp4_block)};
    std::string text = good[below(good.size())];
    for (std::size_t changes = below(4); changes > 0; --changes) {
      const auto at = below(text.size());
      switch (below(3)) {
        case 0: text[at] = static_cast<char>(below(256)); break;
        case 1: text.erase(at, 1); break;
        default: text.insert(at, 1, static_cast<char>(below(256)));
      }
    }
    return text;
  }

  std::string list() {
    static constexpr std::array fragments{
        "for="sv,  "proto="sv,    "host="sv,    ","sv,     ", "sv,  ";"sv,   "\""sv,      "\\"sv,
        "="sv,     "192.0.2.1"sv, "10.0.0.1"sv, "[::1]"sv, "::1"sv, ":80"sv, "unknown"sv, "_x"sv,
        "https"sv, "a.example"sv, "/a"sv,       " "sv,     "\t"sv,  "%"sv,   "\x80"sv};
    std::string text;
    for (std::size_t n = below(14); n > 0; --n) text.append(fragments[below(fragments.size())]);
    return text;
  }

 private:
  std::mt19937 random_{seed};
};

TEST(ProxiesFuzz, AHeaderIsReadTheSameHoweverItIsCut) {
  using Outcome = ProxyHeaderProgress::Outcome;
  RandomInput random;
  int complete = 0;
  for (int i = 0; i < rounds; ++i) {
    const Exact input(random.header());
    ProxyHeader header;
    const auto whole = parse_proxy_header(input.view(), header);
    const Exact part(input.view().substr(0, random.below(input.view().size() + 1)));
    ProxyHeader early;
    const auto cut = parse_proxy_header(part.view(), early);
    EXPECT_TRUE(cut.outcome == Outcome::need_more || cut.outcome == whole.outcome);
    if (whole.outcome != Outcome::complete) continue;
    ++complete;
    EXPECT_LE(whole.size, input.view().size());
    EXPECT_EQ(cut.outcome == Outcome::complete, part.view().size() >= whole.size);
    for (const auto& address : {header.remote_address, header.local_address}) {
      EXPECT_TRUE(address.empty() || IpAddress::parse(address));
    }
  }
  EXPECT_GT(complete, rounds / 50);
}

TEST(ProxiesFuzz, ForwardedFieldsGiveValidValuesOrNone) {
  RandomInput random;
  ForwardedRules rules;
  const std::vector<std::string> proxies{"10.0.0.0/8"};
  rules.trusted = Networks(proxies);
  rules.host = rules.port = rules.prefix = true;
  int clients = 0;
  RequestHead head;
  for (int i = 0; i < rounds; ++i) {
    head.clear();
    for (const auto name : {"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded",
                            "X-Forwarded-Host", "X-Forwarded-Prefix"}) {
      head.add_field(name, Exact(random.list()).view());
    }
    for (const auto family :
         {ForwardedRules::Family::forwarded, ForwardedRules::Family::x_forwarded}) {
      rules.family = family;
      const auto facts = read_forwarded(head, rules);
      clients += facts.client_address.empty() ? 0 : 1;
      EXPECT_TRUE(facts.client_address.empty() || IpAddress::parse(facts.client_address));
      EXPECT_TRUE(facts.client_port.empty() || is_port(facts.client_port));
      EXPECT_TRUE(facts.scheme.empty() || facts.scheme == "http" || facts.scheme == "https");
      EXPECT_TRUE(facts.host.empty() || is_valid_authority(facts.host));
      EXPECT_TRUE(facts.prefix.empty() || facts.prefix.starts_with('/'));
    }
  }
  EXPECT_GT(clients, rounds / 100);
}

/// Whatever a client sends first, the element that a proxy adds is the one that is read first.
TEST(ProxiesFuzz, WhatAClientSendsChangesNothingOfWhatIsAddedToIt) {
  RandomInput random;
  ForwardedRules rules;
  const std::vector<std::string> proxies{"10.0.0.0/8"};
  rules.trusted = Networks(proxies);
  RequestHead head;
  for (int i = 0; i < rounds; ++i) {
    const auto sent = random.list();
    const bool same_line = random.below(2) == 0;
    const auto add = [&](std::string_view name, const std::string& added) {
      if (!same_line) head.add_field(name, sent);
      head.add_field(name, same_line ? sent + ", " + added : added);
    };
    head.clear();
    add("Forwarded", "for=192.0.2.77;proto=https, for=10.0.0.1;proto=http");
    add("X-Forwarded-For", "192.0.2.77, 10.0.0.1");
    for (const auto family :
         {ForwardedRules::Family::forwarded, ForwardedRules::Family::x_forwarded}) {
      rules.family = family;
      EXPECT_EQ(read_forwarded(head, rules).client_address, "192.0.2.77") << sent;
    }
    rules.family = ForwardedRules::Family::forwarded;
    EXPECT_EQ(read_forwarded(head, rules).scheme, "https") << sent;
  }
}

}  // namespace
}  // namespace prowingen
