#include "tracing/trace_context.h"

#include <algorithm>

#include "tracing/random_text.h"

namespace prowingen::tracing {
namespace {

using namespace std::literals;

constexpr std::size_t version_digits = 2;
constexpr std::size_t trace_digits = 32;
constexpr std::size_t parent_digits = 16;
constexpr std::size_t flag_digits = 2;

// Takes so many hexadecimal digits from the front; empty: there are none.
std::string_view take_digits(std::string_view& text, std::size_t count) {
  const auto digits = text.substr(0, count);
  const bool valid = digits.size() == count && std::ranges::all_of(digits, [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                     });
  if (!valid) return {};
  text.remove_prefix(count);
  return digits;
}

bool take_dash(std::string_view& text) {
  if (!text.starts_with('-')) return false;
  text.remove_prefix(1);
  return true;
}

bool is_id(std::string_view digits) {
  return digits.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

bool is_trace_parent(std::string_view text) {
  const auto version = take_digits(text, version_digits);
  if (version.empty() || version == "ff" || !take_dash(text)) return false;
  if (!is_id(take_digits(text, trace_digits)) || !take_dash(text)) return false;
  if (!is_id(take_digits(text, parent_digits)) || !take_dash(text)) return false;
  if (take_digits(text, flag_digits).empty()) return false;
  return text.empty() || (version != "00" && take_dash(text));
}

std::array<char, 55> make_trace_parent() {
  std::array<char, 55> text;
  auto words = random_words<3>();
  // An id of nothing but zeros is none.
  while ((words[0] | words[1]) == 0 || words[2] == 0) words = random_words<3>();
  char* out = std::ranges::copy("00-"sv, text.data()).out;
  out = write_hex(words[1], write_hex(words[0], out));
  *out++ = '-';
  out = write_hex(words[2], out);
  std::ranges::copy("-01"sv, out);
  return text;
}

}  // namespace prowingen::tracing
