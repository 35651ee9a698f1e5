// Why a request is refused, and what the client is told.
//
// One constant table for both sides that refuse: the policy functions, and the engines' parsers,
// which map their own errors to a RequestFault. A Verdict points into that table, so that
// refusing costs as little as accepting and both engines answer alike. After a refusal the
// connection is closed: the next request's first byte can no longer be told with certainty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace prowingen {

struct Refusal {
  int status;
  std::string_view title;    // the status's reason phrase: "Bad Request"
  std::string_view detail;   // what was wrong, one clause without a full stop, no client's bytes
  std::string_view section;  // where it is written: "RFC 9112 5.1"
};

/// nullptr: accepted.
using Verdict = const Refusal*;

enum class RequestFault : std::uint8_t {
  // request line
  bad_request_line,
  bad_line_ending,
  bad_method,
  method_too_long,
  connect_unsupported,
  connect_with_content,
  bad_target,
  bad_target_form,
  bad_target_authority,
  bad_target_encoding,
  bad_version,
  unsupported_version,
  request_line_too_long,
  // field lines
  bad_field_name,
  bad_field_value,
  obs_fold,
  field_line_too_long,
  header_too_large,
  too_many_fields,
  // routing
  missing_host,
  repeated_host,
  bad_host,
  // framing
  bad_content_length,
  repeated_content_length,
  length_and_transfer_encoding,
  transfer_encoding_on_1_0,
  bad_transfer_encoding,
  chunked_not_final,
  repeated_chunked,
  unknown_transfer_coding,
  // connection and expectations
  bad_connection,
  unknown_expectation,
  // body
  body_too_large,
  body_not_stored,
  bad_chunk,
  bad_chunk_extension,
  chunk_extension_too_long,
  forbidden_trailer,
  trailers_too_large,
  // HTTP/2
  connection_field,
  // the peer, not its syntax
  truncated,
  request_timeout,
  plain_http,
};
inline constexpr auto last_request_fault = RequestFault::plain_http;

/// The table's entry. It lives as long as the program.
const Refusal& refusal(RequestFault fault);

/// A whole request that there is no place for.
inline constexpr Refusal queue_full{503, "Service Unavailable",
                                    "every worker is busy and the queue is full", ""};
/// A request that has waited in the queue for as long as any may.
inline constexpr Refusal waited_in_vain{503, "Service Unavailable", "no worker was free in time",
                                        ""};
/// A request that has been with a worker for as long as any may.
inline constexpr Refusal took_too_long{504, "Gateway Timeout",
                                       "the application has not answered in time", ""};
/// A whole request of a client that has asked too often. Its connection goes on.
inline constexpr Refusal over_rate_limit{
    429, "Too Many Requests", "requests come faster than this client may send them", "RFC 6585 4"};
/// A whole request that there is no memory to keep.
inline constexpr Refusal short_of_memory{503, "Service Unavailable",
                                         "the server is short of memory", ""};
/// A whole request for a file that cannot be opened now. Its connection goes on.
inline constexpr Refusal short_of_descriptors{503, "Service Unavailable",
                                              "the server is short of file descriptors", ""};

/// What a refused client is told, as plain text.
std::string refusal_page(const Refusal& refusal);

}  // namespace prowingen
