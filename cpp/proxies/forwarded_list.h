// The elements of a list field from the right to the left (RFC 9110 section 5.6.1).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "http/message.h"

namespace prowingen {

/// All lines of a name are one list; empty elements are none.
///
/// From the right, for security too: what a client sent stands on the left, and with a quotation
/// mark that it never closes it could make a reader from the left take what proxies have added for
/// a part of its own text.
class ListFromTheRight {
 public:
  enum class Quotes : bool { plain, mean_strings };

  ListFromTheRight(const RequestHead& head, std::string_view name, Quotes quotes)
      : head_(head), name_(name), quotes_(quotes), lines_left_(head.fields().size()) {}

  /// The next element, without the spaces around it.
  std::optional<std::string_view> next();

 private:
  bool next_line();

  const RequestHead& head_;
  const std::string_view name_;
  const Quotes quotes_;
  std::size_t lines_left_;
  bool in_line_ = false;
  std::string_view line_;  // what is left of it
};

}  // namespace prowingen
