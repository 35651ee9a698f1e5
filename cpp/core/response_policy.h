// What HTTP means on the response side, for every engine: which fields an application may set, and
// how a response's body is delimited (RFC 9112 section 6).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/exchange.h"
#include "core/message.h"
#include "core/octets.h"  // is_token, is_field_value: a field's name and its value

namespace prowingen {

/// Fields that the server itself reads or may add.
enum class ResponseField : std::uint8_t { other, content_length, date, server, hop_by_hop };

/// Classifies a field name. Hop-by-hop fields are the server's own business (PEP 3333 "Other HTTP
/// Features", RFC 9110 section 7.6.1).
ResponseField classify_response_field(std::string_view name);

/// The decimal length, or nothing if `value` is no length.
std::optional<std::uint64_t> parse_content_length(std::string_view value);

/// False for the answers that have no content: HEAD, 1xx, 204, 304 (RFC 9110 section 6.4.1).
bool response_has_content(std::string_view method, int status);

enum class ResponseFraming : std::uint8_t {
  none,        // no content
  sized,       // Content-Length
  chunked,     // transfer coding, HTTP/1.1 only
  until_close  // HTTP/1.0 without a length
};

/// How the body goes out to a client of `version`.
ResponseFraming frame_response(HttpVersion version, const ResponseBody& body);

/// The registered reason phrase of a status, or "Unknown" (RFC 9110 section 15).
std::string_view reason_phrase(int status);

}  // namespace prowingen
