// Random input: nothing crashes or reads beyond its end (under AddressSanitizer), and whatever is
// accepted keeps the promises that the rest of the server builds on.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "http/request_policy.h"
#include "http/request_target.h"

namespace prowingen {
namespace {

// The same on every run, so that a failure can be repeated.
constexpr unsigned seed = 9112;
constexpr int rounds = 200'000;

// clang-format off
constexpr std::array<std::string_view, 4> methods{"GET", "OPTIONS", "CONNECT", "get"};
constexpr std::array<std::string_view, 7> framing_names{
    "Host", "Content-Length", "content-length", "Transfer-Encoding", "Connection", "Expect",
    "Upgrade"};
constexpr std::array<std::string_view, 57> fragments{
    "/", "//", "*", "?", "#", "%", "%41", "%00", "%zz", "\\", "http://", "https://", "HTTP:", "a",
    "example.com", ":", ":80", ":65536", "@", "[", "]", "[::1]", "[::ffff:1.2.3.4]", "hOsT",
    "Content_Length", "X-Name", "If-Match", "Content-", "chunked", "CHUNKED", "gzip", "identity",
    ",", ", ", ";", "=", "\"", "\\\"", "close", "keep-alive", "upgrade", "100-continue", "0", "5",
    "42", "18446744073709551615", "9", " ", "\t", "\r", "\n", "\r\n", "\x7F", "\x80\xFF", "-", "+",
    "_"};
// clang-format on

class RandomInput {
 public:
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

  template <std::size_t Size>
  std::string_view one_of(const std::array<std::string_view, Size>& choices) {
    return choices[random_() % Size];
  }

  /// Random octets, or fragments with now and then an octet between them.
  std::string text() {
    std::string out;
    const bool wild = below(8) == 0;
    for (unsigned n = below(wild ? 40 : 7); n > 0; --n) {
      if (wild || below(16) == 0) {
        out.push_back(static_cast<char>(below(256)));
      } else {
        out.append(one_of(fragments));
      }
    }
    return out;
  }

 private:
  std::mt19937 random_{seed};
};

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

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet == 0x7F || (octet < 0x20 && c != '\t');
  });
}

TEST(RequestPolicyFuzz, TargetsThatAreAcceptedCanBeTakenApart) {
  RandomInput random;
  int accepted = 0;
  for (int i = 0; i < rounds; ++i) {
    const Exact method(random.one_of(methods));
    const Exact target((random.below(2) == 0 ? "/" : "") + random.text());
    is_valid_authority(target.view());
    const auto parts = split_target(target.view());
    if (check_request_line(method.view(), target.view(), {1, 1}, {}) != nullptr) continue;
    ++accepted;
    EXPECT_TRUE(parts.path == "*" || parts.path.starts_with('/')) << target.view();
    EXPECT_EQ(parts.form == TargetForm::absolute, !parts.authority.empty()) << target.view();
    EXPECT_TRUE(parts.authority.empty() || is_valid_authority(parts.authority));
    EXPECT_TRUE(std::ranges::all_of(target.view(), [](char c) {
      return c > 0x20 && c < 0x7F && c != '#';
    })) << target.view();
  }
  EXPECT_GT(accepted, rounds / 50);
}

TEST(RequestPolicyFuzz, FieldsThatAreAcceptedHaveNoControlCharacters) {
  RandomInput random;
  int accepted = 0;
  for (int i = 0; i < rounds; ++i) {
    const Exact name(random.text());
    const Exact value(random.text());
    check_chunk_extension(value.view(), {});
    const auto verdict = check_field(name.view(), value.view(), false);
    const auto in_trailer = check_trailer_field(name.view(), value.view(), false);
    if (verdict != nullptr) {
      EXPECT_EQ(in_trailer, verdict);
      continue;
    }
    ++accepted;
    EXPECT_FALSE(has_control(name.view()) || has_control(value.view()));
    EXPECT_EQ(name.view().find_first_of(" \t:"), std::string_view::npos);
  }
  EXPECT_GT(accepted, rounds / 50);
}

TEST(RequestPolicyFuzz, SectionsThatAreAcceptedHaveOneFraming) {
  RandomInput random;
  int accepted = 0;
  int framed = 0;
  RequestHead head;
  for (int i = 0; i < rounds; ++i) {
    head.clear();
    head.set_request_line("POST", random.below(4) == 0 ? random.text() : "/",
                          {1, static_cast<std::uint8_t>(random.below(8) == 0 ? 0 : 1)});
    if (random.below(8) != 0) head.add_field("Host", "a");
    for (unsigned n = random.below(4); n > 0; --n) {
      // No check_field() stands before this, on purpose.
      head.add_field(random.below(2) == 0 ? random.one_of(framing_names) : random.text(),
                     random.below(2) == 0 ? random.one_of(fragments) : random.text());
    }
    RequestSemantics semantics;
    if (check_header_section(head, {}, semantics) != nullptr) continue;
    ++accepted;
    const auto count = [&](std::string_view name) {
      return std::ranges::count_if(head.fields(), [&](const FieldLine& field) {
        return equals_ignoring_case(head.view(field.name), name);
      });
    };
    const auto lengths = count("Content-Length");
    const auto codings = count("Transfer-Encoding");
    EXPECT_LE(count("Host"), 1);
    EXPECT_LE(lengths, 1);
    EXPECT_TRUE(lengths == 0 || codings == 0);
    EXPECT_EQ(semantics.framing == BodyFraming::content_length, lengths == 1);
    EXPECT_EQ(semantics.framing == BodyFraming::chunked, codings > 0);
    if (lengths == 1) {
      EXPECT_EQ(head.first("Content-Length").find_first_of("+-,"), std::string_view::npos);
    }
    if (semantics.framing != BodyFraming::none) ++framed;
  }
  EXPECT_GT(accepted, rounds / 50);
  EXPECT_GT(framed, rounds / 500);
}

}  // namespace
}  // namespace prowingen
