// What HTTP means on the response side, for every engine: which fields an application may set, and
// how a response's body is delimited (RFC 9112 section 6).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/octets.h"  // is_token, is_field_value: a field's name and its value

namespace prowingen {

/// The status that an answer is sent with. Of later versions than HTTP/1.1 the switch to another
/// protocol is a success, and so each success is one (RFC 8441 section 5): who has asked for one,
/// and gets a page, would take that for what is said in it. It is told that there is none.
/// `asked`: for another protocol; `switches`: it follows.
constexpr int sent_status(int status, HttpVersion version, bool asked, bool switches) {
  if (version.major < 2) return status;
  if (switches) return status == 101 ? 200 : status;
  return asked && status / 100 == 2 ? 400 : status;
}

/// Whether HTTP/1.1 alone has a field in an answer that switches protocols.
bool is_of_switch(std::string_view name);

/// Fields that the server itself reads or may add. From `connection` on they are hop-by-hop: about
/// the connection, which is the server's own business (PEP 3333 "Other HTTP Features", RFC 9110
/// section 7.6.1).
enum class ResponseField : std::uint8_t {
  other,
  content_length,
  date,
  server,
  connection,
  keep_alive,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  te,
  trailers,
  transfer_encoding,
  upgrade
};

ResponseField classify_response_field(std::string_view name);
constexpr bool is_hop_by_hop(ResponseField kind) { return kind >= ResponseField::connection; }

/// What an application's `Connection` asks for.
struct ConnectionWishes {
  bool close = false;
  bool more = false;  // options that an application can have no use for
};
ConnectionWishes parse_connection(std::string_view value);

/// Whether an answer may name other protocols: one of status 101 says which is spoken from its head
/// on, one of 426 which it wants (RFC 9110 sections 15.2.2 and 15.5.22); on HTTP/1.1 alone.
bool may_name_protocols(int status, HttpVersion version);

/// Why a field cannot be part of an answer.
enum class FieldFault : std::uint8_t {
  name_not_token,
  value_has_control,
  transfer_coding,
  length_not_decimal,
  length_contradicts,
  not_interim,
  not_trailing
};

/// What is wrong with a field of this kind by itself.
std::optional<FieldFault> check_response_field(ResponseField kind, std::string_view name,
                                               std::string_view value);

/// What is wrong with a field of an interim answer: it has no content and leaves the connection as
/// it is (RFC 9110 sections 7.6.1 and 8.6).
std::optional<FieldFault> check_interim_field(std::string_view name, std::string_view value);

/// What is wrong with a field of an answer's trailer section (RFC 9110 section 6.5.1).
std::optional<FieldFault> check_response_trailer(std::string_view name, std::string_view value);

/// A sentence that names the field.
std::string describe(FieldFault fault, std::string_view name, std::string_view value);

/// The beginning of a text in quotes, for a message.
std::string quoted(std::string_view text);

struct StatusLine {
  int status;
  std::string_view reason;
};

/// Takes `404 Not Found` apart; nothing if it is not three digits, 101 or from 200 on, with or
/// without a space and a reason behind them. The reason's octets are not looked at.
std::optional<StatusLine> parse_status(std::string_view text);

/// The decimal length, or nothing if `value` is no length.
std::optional<std::uint64_t> parse_content_length(std::string_view value);

/// False for the answers that have no content: HEAD, 1xx, 204, 304 (RFC 9110 section 6.4.1).
bool response_has_content(std::string_view method, int status);

/// How a response's body is delimited; decided by the worker's first push, see frame_response().
struct ResponseBody {
  /// Length if it is known before the body is sent: declared by the application or computed.
  bool length_known = false;
  std::uint64_t length = 0;
  /// False for HEAD, 204, 304: the engine sends no body whatever is pushed.
  bool allowed = true;
  /// The length must be added to the fields (the application did not declare it).
  bool add_length_field = false;
  /// Its end is the connection's, whatever its client understands.
  bool until_close = false;
  /// What follows the head is another protocol's, in both directions (RFC 9110 section 7.8).
  bool opaque = false;
};

enum class ResponseFraming : std::uint8_t {
  none,         // no content
  sized,        // Content-Length
  chunked,      // transfer coding, HTTP/1.1 only
  until_close,  // HTTP/1.0 without a length, and what is written by others
  opaque        // none of HTTP's: bytes of another protocol, until the connection's end
};

/// Whether the end of what follows the head is the connection's, so that one that comes too early
/// has to look different.
constexpr bool ends_with_connection(ResponseFraming framing) {
  return framing == ResponseFraming::until_close || framing == ResponseFraming::opaque;
}

/// How the body goes out to a client of `version`.
ResponseFraming frame_response(HttpVersion version, const ResponseBody& body);

/// Whether a client may have sent through a tunnel that it has not got, and that would be read as
/// requests of its own: nothing is read behind such an answer of HTTP/1.
bool refuses_tunnel(const RequestHead& request, const ResponseBody& body);

/// Whether a client takes a trailer section: one of HTTP/1.1 has to say so (RFC 9110
/// section 10.1.4).
bool takes_trailers(const RequestHead& request);

/// Whether the answer is framed so that a trailer section can follow its content, and its client
/// takes one.
bool may_have_trailers(const RequestHead& request, const ResponseBody& body);

/// The registered reason phrase of a status, or "Unknown" (RFC 9110 section 15).
std::string_view reason_phrase(int status);

}  // namespace prowingen
