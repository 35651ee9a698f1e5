// Fields on their way to an HTTP/2 peer.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace prowingen::http2 {

struct HeaderField {
  std::string_view name;  // in any case; it is sent in lower case (RFC 9113 section 8.2.1)
  std::string_view value;
};

/// Appends the section's fields, without the space around a value that HTTP/1 leaves to its reader
/// and section 8.2.1 forbids. Returns the octets of them, as they are in the section.
std::size_t list_fields(const FieldSection& section, std::vector<HeaderField>& fields);

}  // namespace prowingen::http2
