// Which media types (RFC 9110 section 8.3.1) are meant by a list of patterns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace prowingen::compression {

class MediaTypePatterns {
 public:
  /// Each `type/subtype`, where `*` stands for what a type, or a subtype, is or begins with:
  /// `text/*`, `*+json`.
  explicit MediaTypePatterns(const std::vector<std::string>& patterns);

  /// content_type: the field's value, of which parameters mean nothing here.
  bool match(std::string_view content_type) const;

 private:
  struct Pattern {
    std::string before;  // the asterisk
    std::string after;   // it
    bool exact;          // there is none
  };
  std::vector<Pattern> patterns_;
};

}  // namespace prowingen::compression
