// HTTP/1.1 messages as bytes: response heads, chunked framing, the server's own refusals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/exchange.h"
#include "http/refusal.h"
#include "http/response_policy.h"

namespace prowingen::http1 {

/// `Date` and `Server` as field lines, made once a second and not once a response.
class StandingFields {
 public:
  StandingFields(std::string_view server, bool date) : server_(server), with_date_(date) {}
  void refresh();
  std::string_view server_line() const { return server_line_; }
  std::string_view date_line() const { return date_line_; }
  /// The values alone, empty as the lines are.
  std::string_view server() const { return server_; }
  std::string_view date() const { return value_of(date_line_); }
  /// Where else the server of this listening socket is (RFC 7838); mostly nowhere.
  std::string_view alternative_line(unsigned listener) const {
    return listener < alternatives_.size() ? alternatives_[listener] : std::string_view();
  }
  std::string_view alternative(unsigned listener) const {
    const auto line = alternative_line(listener);
    return line.empty() ? line : line.substr(9, line.size() - 11);  // "Alt-Svc: " and CRLF
  }
  /// The next listening socket's value; empty: none.
  void add_alternative(std::string_view value) {
    alternatives_.push_back(value.empty() ? "" : "Alt-Svc: " + std::string(value) + "\r\n");
  }

 private:
  static std::string_view value_of(std::string_view line) {
    return line.empty() ? line : line.substr(6, line.size() - 8);  // "Date: " and CRLF
  }

  std::string server_;
  bool with_date_;
  std::int64_t second_ = -1;
  std::string server_line_;
  std::string date_line_;
  std::vector<std::string> alternatives_;  // by listening socket
};

/// Appends the response head, empty line included.
void write_head(const Exchange& exchange, ResponseFraming framing, bool keep_alive,
                const StandingFields& standing, std::string& out);

/// Opens a chunk of `size` bytes (RFC 9112 section 7.1); its data and CRLF follow.
void write_chunk_header(std::uint64_t size, std::string& out);

/// The last chunk and what follows it; `trailers` may be null.
void write_last_chunk(const FieldSection* trailers, std::string& out);

/// Appends an interim answer, which has no content.
void write_interim(const ResponseHead& head, std::string& out);

inline constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";

/// A whole answer with `Connection: close` and a plain text page.
/// `extra_field`: a further field line with its CRLF, or empty.
void write_refusal(const Refusal& refusal, bool with_body, std::string_view extra_field,
                   const StandingFields& standing, std::string& out);

/// Tells a client that began with HTTP where TLS is spoken, straight to its socket. One try: it is
/// meant for a human who forgot an "s". The caller closes the socket, once discard_some() says so.
void refuse_plain_http(int socket, const StandingFields& standing);

/// Throws away some of what waits on a socket that does not block, and takes it off `left`. False:
/// its end came, or nothing is left of `left`.
bool discard_some(int socket, std::uint64_t& left);

}  // namespace prowingen::http1
