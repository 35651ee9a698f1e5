#include "http/refusal.h"

#include <array>
#include <cstddef>

namespace prowingen {
namespace {

constexpr std::string_view title_of(int status) {
  switch (status) {
    case 400: return "Bad Request";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "";
  }
}

struct Row {
  RequestFault fault;
  Refusal refusal;

  constexpr Row(RequestFault f, int status, std::string_view detail, std::string_view section)
      : fault(f), refusal{status, title_of(status), detail, section} {}
};

using enum RequestFault;

// In the order of RequestFault, checked below.
constexpr std::array rows{
    // request line
    Row(bad_request_line, 400, "the request line is not method, target and version", "RFC 9112 3"),
    Row(bad_line_ending, 400, "a line ends otherwise than with CR LF", "RFC 9112 2.2"),
    Row(bad_method, 400, "the method is not a token", "RFC 9112 3.1"),
    Row(method_too_long, 501, "the method is longer than any known one", "RFC 9112 3"),
    Row(connect_unsupported, 501, "this server is not a proxy", "RFC 9110 9.3.6"),
    Row(connect_with_content, 400, "a CONNECT has content", "RFC 9110 9.3.6"),
    Row(bad_target, 400, "the request target is empty or has an octet that no URI has",
        "RFC 9112 3.2"),
    Row(bad_target_form, 400, "the request target's form does not go with the method",
        "RFC 9112 3.2"),
    Row(bad_target_authority, 400, "the request target's host or port is invalid", "RFC 9110 4.2"),
    Row(bad_target_encoding, 400, "the request target's path has an invalid percent-encoding",
        "RFC 3986 2.1"),
    Row(bad_version, 400, "the HTTP version is malformed or missing", "RFC 9112 2.3"),
    Row(unsupported_version, 505, "only HTTP/1 is spoken here", "RFC 9110 15.6.6"),
    Row(request_line_too_long, 414, "the request line is too long", "RFC 9112 3"),
    // field lines
    Row(bad_field_name, 400, "a field name is not a token, or a space follows it", "RFC 9112 5.1"),
    Row(bad_field_value, 400, "a field value has a control character", "RFC 9110 5.5"),
    Row(obs_fold, 400, "a field line is folded", "RFC 9112 5.2"),
    Row(field_line_too_long, 431, "a field line is too long", "RFC 6585 5"),
    Row(header_too_large, 431, "the header section is too large", "RFC 6585 5"),
    Row(too_many_fields, 431, "the header section has too many fields", "RFC 6585 5"),
    // routing
    Row(missing_host, 400, "Host is missing or empty", "RFC 9112 3.2"),
    Row(repeated_host, 400, "Host is there more than once", "RFC 9112 3.2"),
    Row(bad_host, 400, "Host is not a host with an optional port", "RFC 9112 3.2"),
    // framing
    Row(bad_content_length, 400, "Content-Length is not one decimal number", "RFC 9112 6.3"),
    Row(repeated_content_length, 400, "Content-Length is there more than once", "RFC 9112 6.3"),
    Row(length_and_transfer_encoding, 400, "both Content-Length and Transfer-Encoding are there",
        "RFC 9112 6.1"),
    Row(transfer_encoding_on_1_0, 400, "HTTP/1.0 has no Transfer-Encoding", "RFC 9112 6.1"),
    Row(bad_transfer_encoding, 400, "Transfer-Encoding is malformed", "RFC 9112 6.1"),
    Row(chunked_not_final, 400, "chunked is not the final transfer coding", "RFC 9112 6.3"),
    Row(repeated_chunked, 400, "chunked is applied more than once", "RFC 9112 6.1"),
    Row(unknown_transfer_coding, 501, "a transfer coding other than chunked is not implemented",
        "RFC 9112 6.1"),
    // connection and expectations
    Row(bad_connection, 400, "Connection is not a list of tokens", "RFC 9110 7.6.1"),
    Row(unknown_expectation, 417, "an expectation other than 100-continue cannot be met",
        "RFC 9110 10.1.1"),
    // body
    Row(body_too_large, 413, "the content is too large", "RFC 9110 15.5.14"),
    Row(body_not_stored, 507, "there is no room for content whose length is not known",
        "RFC 4918 11.5"),
    Row(bad_chunk, 400, "a chunk is malformed", "RFC 9112 7.1"),
    Row(bad_chunk_extension, 400, "a chunk extension is malformed", "RFC 9112 7.1.1"),
    Row(chunk_extension_too_long, 400, "a chunk extension is too long", "RFC 9112 7.1.1"),
    Row(forbidden_trailer, 400,
        "a field of framing, routing or authentication is in the trailer section",
        "RFC 9110 6.5.1"),
    Row(trailers_too_large, 431, "the trailer section is too large", "RFC 6585 5"),
    // HTTP/2
    Row(connection_field, 400, "a field that belongs to a connection of HTTP/1.1 is there",
        "RFC 9113 8.2.2"),
    // the peer, not its syntax
    Row(truncated, 400, "the connection ended before the request did", "RFC 9112 8"),
    Row(request_timeout, 408, "the request did not arrive in time", "RFC 9110 15.5.9"),
    Row(plain_http, 400, "this port speaks HTTPS: ask for a URL with https", "RFC 9110 4.2.2"),
};

constexpr bool is_complete() {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<std::size_t>(rows[i].fault) != i || rows[i].refusal.title.empty()) return false;
  }
  return rows.size() == static_cast<std::size_t>(last_request_fault) + 1;
}
static_assert(is_complete());

}  // namespace

const Refusal& refusal(RequestFault fault) { return rows[static_cast<std::size_t>(fault)].refusal; }

std::string refusal_page(const Refusal& refusal) {
  std::string page = std::to_string(refusal.status);
  page.append(" ").append(refusal.title).append("\n");
  page.append(refusal.detail);
  if (!refusal.section.empty()) page.append(" (").append(refusal.section).append(")");
  page.append("\n");
  return page;
}

}  // namespace prowingen
