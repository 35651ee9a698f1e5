// Field values that are lists (RFC 9110 section 5.6.1).
#pragma once

#include <string_view>

#include "http/message.h"
#include "http/octets.h"

namespace prowingen {

/// Calls `use(member)` for each member of a comma-separated list, empty ones included, until one
/// returns something that is true, which is returned. Knows no quoted strings: in none of the lists
/// read so may a member have one that a comma could be in.
template <typename Use>
constexpr auto for_each_member(std::string_view list, Use use) -> decltype(use(list)) {
  for (;;) {
    const auto comma = list.find(',');
    if (auto result = use(trim(list.substr(0, comma)))) return result;
    if (comma == std::string_view::npos) return {};
    list.remove_prefix(comma + 1);
  }
}

/// Whether a list of tokens has this one, without regard to case.
inline bool list_has(std::string_view list, std::string_view token) {
  return for_each_member(
      list, [&](std::string_view member) { return equals_ignoring_case(member, token); });
}

}  // namespace prowingen
