#include "http/ranges.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "http/message.h"
#include "http/octets.h"

namespace prowingen {
namespace {

constexpr std::string_view unit = "bytes=";
constexpr std::size_t most_parts = 100;

// Decimal digits, and nothing else. One too large for us is as large as can be.
std::optional<std::uint64_t> number(std::string_view text) {
  if (text.empty() || !all_are(text, Octet::digit)) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : UINT64_MAX;
}

// A range as it was written. Nothing if it is none.
struct Specified {
  std::optional<std::uint64_t> first;  // none: so many of the last
  std::optional<std::uint64_t> last;
};

std::optional<Specified> parse_one(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const Specified range{number(text.substr(0, dash)), number(text.substr(dash + 1))};
  const bool open_start = dash == 0;
  const bool open_end = dash + 1 == text.size();
  if (!range.first && !open_start) return std::nullopt;
  if (!range.last && !open_end) return std::nullopt;
  if (open_start && open_end) return std::nullopt;
  if (range.first && range.last && *range.first > *range.last) return std::nullopt;
  return range;
}

// Of a representation of this size; nothing if it has none of it.
std::optional<ByteRange> clip(const Specified& range, std::uint64_t size) {
  if (!range.first) {
    const auto length = std::min(*range.last, size);
    if (length == 0) return std::nullopt;
    return ByteRange{size - length, length};
  }
  if (*range.first >= size) return std::nullopt;
  const auto last = std::min(range.last.value_or(UINT64_MAX), size - 1);
  return ByteRange{*range.first, last - *range.first + 1};
}

}  // namespace

WantedRanges parse_ranges(std::string_view value, std::uint64_t size) {
  using enum WantedRanges::Kind;
  if (size == 0) return {};  // the whole of it is what anybody can have
  value = trim(value);
  if (!equals_ignoring_case(value.substr(0, unit.size()), unit)) return {};
  value.remove_prefix(unit.size());
  WantedRanges wanted;
  std::uint64_t sum = 0;
  bool any = false;
  while (true) {
    const auto comma = std::min(value.find(','), value.size());
    if (const auto text = trim(value.substr(0, comma)); !text.empty()) {
      const auto range = parse_one(text);
      if (!range) return {};
      any = true;
      if (const auto part = clip(*range, size)) {
        sum += part->length;
        if (wanted.parts.size() == most_parts || sum > size) return {};
        wanted.parts.push_back(*part);
      }
    }
    if (comma == value.size()) break;
    value.remove_prefix(comma + 1);
  }
  if (!any) return {};
  wanted.kind = wanted.parts.empty() ? unsatisfiable : parts;
  return wanted;
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  return "bytes " + std::to_string(range.first) + '-' +
         std::to_string(range.first + range.length - 1) + '/' + std::to_string(size);
}

}  // namespace prowingen
