// What HTTP/1.x means on the request side, for every engine: which requests are refused, with what
// status, and what the accepted ones ask for. docs/request_policy.md lists the rules.
//
// Pure functions, any thread; no I/O, no allocation. An engine calls, in the order the bytes come,
//   check_request_line -> check_field for each field line -> check_header_section
//   -> check_chunk_extension, check_body_size, TrailerSection while a body arrives,
// and answers the first Verdict that is not null, then closes the connection. They assume nothing
// about the parser in front of them but that it split lines at CRLF and fields at the first colon,
// and took the optional whitespace around the value away: what a lax parser lets through is
// refused here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "http/field_rules.h"
#include "http/message.h"
#include "http/refusal.h"

namespace prowingen {

/// Bytes unless said otherwise. 0 means unlimited for max_body only.
struct RequestLimits {
  std::size_t max_request_line = 8192;    // method, target and version, CRLF not counted
  std::size_t max_header_bytes = 65536;   // all field lines as `name: value CRLF`
  std::size_t max_header_fields = 100;    // count
  std::size_t max_field_line = 65536;     // one field line as `name: value`
  std::uint64_t max_body = 0;             // content, after the chunked coding is taken off
  std::size_t max_chunk_extension = 256;  // of one chunk header
  std::size_t max_trailer_bytes = 8192;   // all trailer fields, counted like max_header_bytes
  bool allow_connect = false;             // the method CONNECT (RFC 9110 section 9.3.6)
};

/// Digits of a Content-Length: those of the largest, 2^64 - 1. Leading zeros count.
inline constexpr std::size_t max_length_digits = 20;

/// Bound of a method's length: twice that of the longest registered one, UPDATEREDIRECTREF.
inline constexpr std::size_t max_method_size = 34;

enum class BodyFraming : std::uint8_t { none, content_length, chunked };

/// What an accepted header section asks for.
struct RequestSemantics {
  BodyFraming framing = BodyFraming::none;
  std::uint64_t content_length = 0;  // with BodyFraming::content_length
  bool keep_alive = false;           // the client lets the connection persist
  bool expects_continue = false;     // waits for 100 before it sends its non-empty body
  bool upgrade = false;              // Upgrade is there and Connection names it, or a CONNECT
  /// Authority of the target URI: the absolute-form's, else Host's; may be empty. Points into the
  /// head: use it before the head is changed or moved.
  std::string_view host;
};

/// The version that a request is served as: the highest one known here of its major version (RFC
/// 9110 section 2.5). It is what belongs into the head; one that is refused stays as it is.
HttpVersion served_version(HttpVersion version);

Verdict check_request_line(std::string_view method, std::string_view target, HttpVersion version,
                           const RequestLimits& limits);

/// The limits of the section and all rules between fields. For a head whose request line and fields
/// were accepted one by one.
Verdict check_header_section(const RequestHead& head, const RequestLimits& limits,
                             RequestSemantics& out);

/// The value of a Content-Length without its leading zeros, as it belongs into the head: some who
/// read it there would take them for octal. One that has too many digits keeps them all.
std::string_view plain_length(std::string_view digits);

/// The first protocol that a field Upgrade offers, but for h2c, which RFC 9113 section 3.1 took
/// back; empty if there is none.
std::string_view first_offer(std::string_view upgrade);
/// All that its fields Upgrade offer, in their order; h2c left out.
std::vector<std::string_view> offered_protocols(const RequestHead& head);
/// Whether this one is among them, whatever its version.
bool offers(const RequestHead& head, std::string_view protocol);

/// What stands between a chunk's size and its CRLF, first ';' included; may be empty.
Verdict check_chunk_extension(std::string_view extension, const RequestLimits& limits);

/// `size`: content received so far, the chunk that was just announced included.
Verdict check_body_size(std::uint64_t size, const RequestLimits& limits);

/// The trailer section of one request, field by field.
class TrailerSection {
 public:
  /// Not null: refused, and nothing more is looked at. One that has come too late is counted all
  /// the same.
  Verdict add(std::string_view name, std::string_view value, bool folded,
              const RequestLimits& limits);
  /// So far, each as `name: value CRLF`.
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
  std::size_t count_ = 0;
};

}  // namespace prowingen
