#include "compression/media_types.h"

#include <algorithm>

#include "http/message.h"
#include "http/octets.h"

namespace prowingen::compression {
namespace {

bool starts_ignoring_case(std::string_view text, std::string_view start) {
  return equals_ignoring_case(text.substr(0, start.size()), start);
}

bool ends_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         equals_ignoring_case(text.substr(text.size() - end.size()), end);
}

}  // namespace

MediaTypePatterns::MediaTypePatterns(const std::vector<std::string>& patterns) {
  for (const auto& text : patterns) {
    const auto asterisk = std::min(text.find('*'), text.size());
    const bool exact = asterisk == text.size();
    patterns_.push_back({text.substr(0, asterisk), exact ? "" : text.substr(asterisk + 1), exact});
  }
}

bool MediaTypePatterns::match(std::string_view content_type) const {
  const auto type = trim(content_type.substr(0, content_type.find(';')));
  return std::ranges::any_of(patterns_, [&](const Pattern& pattern) {
    if (pattern.exact) return equals_ignoring_case(type, pattern.before);
    return type.size() >= pattern.before.size() + pattern.after.size() &&
           starts_ignoring_case(type, pattern.before) && ends_ignoring_case(type, pattern.after);
  });
}

}  // namespace prowingen::compression
