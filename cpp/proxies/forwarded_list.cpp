#include "proxies/forwarded_list.h"

#include "http/octets.h"

namespace prowingen {
namespace {

/// Where the quoted string begins that ends before `end`, or npos.
std::size_t opening_quote(std::string_view text, std::size_t end) {
  for (std::size_t at = end - 1; at > 0;) {
    --at;
    if (text[at] != '"') continue;
    std::size_t backslashes = 0;
    while (backslashes < at && text[at - backslashes - 1] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return at;
    at -= backslashes;
  }
  return std::string_view::npos;
}

/// The last comma that is not in a quoted string, or npos.
std::size_t last_comma(std::string_view text, bool with_strings) {
  for (std::size_t end = text.size(); end > 0; --end) {
    const char c = text[end - 1];
    if (c == ',') return end - 1;
    if (c != '"' || !with_strings) continue;
    end = opening_quote(text, end);
    if (end == std::string_view::npos) return end;
    ++end;  // the loop goes on before it
  }
  return std::string_view::npos;
}

}  // namespace

bool ListFromTheRight::next_line() {
  while (lines_left_ > 0) {
    const FieldLine& field = head_.fields()[--lines_left_];
    if (!equals_ignoring_case(head_.view(field.name), name_)) continue;
    line_ = head_.view(field.value);
    return in_line_ = true;
  }
  return false;
}

std::optional<std::string_view> ListFromTheRight::next() {
  while (in_line_ || next_line()) {
    const auto comma = last_comma(line_, quotes_ == Quotes::mean_strings);
    in_line_ = comma != std::string_view::npos;
    const auto element = trim(in_line_ ? line_.substr(comma + 1) : line_);
    if (in_line_) line_ = line_.substr(0, comma);
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

}  // namespace prowingen
