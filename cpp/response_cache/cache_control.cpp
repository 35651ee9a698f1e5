#include "response_cache/cache_control.h"

#include <algorithm>
#include <cstdint>

#include "http/message.h"
#include "http/octets.h"

namespace prowingen::response_cache {
namespace {

using std::chrono::seconds;

constexpr std::int64_t longest = std::int64_t{1} << 31;

// Takes a quoted string off the front, its quotes too. Nothing if it has no end.
std::optional<std::string_view> take_quoted(std::string_view& text) {
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      const auto quoted = text.substr(1, at - 1);
      text.remove_prefix(at + 1);
      return quoted;
    }
  }
  return std::nullopt;
}

std::string_view take_token(std::string_view& text) {
  const auto* const end =
      std::ranges::find_if_not(text, [](char c) { return is(c, Octet::tchar); });
  const auto token = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(token.size());
  return token;
}

// Two that differ leave open which was meant.
bool set_once(std::optional<seconds>& to, std::optional<std::string_view> argument) {
  const auto value = argument ? parse_delta_seconds(*argument) : std::nullopt;
  if (!value || (to && *to != *value)) return false;
  to = value;
  return true;
}

}  // namespace

std::optional<seconds> parse_delta_seconds(std::string_view text) {
  if (text.empty() || !all_are(text, Octet::digit)) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) value = std::min(value * 10 + (c - '0'), longest);
  return seconds(value);
}

void CacheControl::read(std::string_view value) {
  for (;;) {
    value = trim(value);
    if (value.starts_with(',')) {  // an empty member (RFC 9110 section 5.6.1.2)
      value.remove_prefix(1);
      continue;
    }
    if (value.empty()) return;
    const auto name = take_token(value);
    std::optional<std::string_view> argument;
    if (value.starts_with('=')) {
      value.remove_prefix(1);
      argument = value.starts_with('"') ? take_quoted(value) : take_token(value);
      if (!argument) break;
    }
    value = trim(value);
    if (name.empty() || (!value.empty() && value.front() != ',')) break;
    take(name, argument);
  }
  malformed = true;
}

void CacheControl::take(std::string_view name, std::optional<std::string_view> argument) {
  if (equals_ignoring_case(name, "s-maxage")) {
    malformed |= !set_once(s_maxage, argument);
  } else if (equals_ignoring_case(name, "stale-while-revalidate")) {
    malformed |= !set_once(stale_while_revalidate, argument);
  } else if (equals_ignoring_case(name, "no-store")) {
    no_store = true;
  } else if (equals_ignoring_case(name, "no-cache")) {
    no_cache = true;
  } else if (equals_ignoring_case(name, "private")) {
    is_private = true;
  } else if (equals_ignoring_case(name, "must-revalidate") ||
             equals_ignoring_case(name, "proxy-revalidate")) {
    must_revalidate = true;
  }
}

}  // namespace prowingen::response_cache
