#include "tracing/trace_context.h"

#include <algorithm>

#include "tracing/random_text.h"

namespace prowingen::tracing {
namespace {

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

std::string make_id(std::size_t digits) {
  std::string id;
  do id = random_hex(digits / 2);
  while (!is_id(id));
  return id;
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

std::string make_trace_parent() {
  return "00-" + make_id(trace_digits) + "-" + make_id(parent_digits) + "-01";
}

}  // namespace prowingen::tracing
