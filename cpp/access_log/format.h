// How one line of the access log looks: a format string, compiled once into a short list of steps.
//
//   compile("%h %l %u %t \"%r\" %>s %b")  ->  [remote_address][literal][user][literal][clf_time]...
//   render(record, out)                   ->  appends one line, without its newline
//
// `%x` follows Apache's mod_log_config, `%(x)s` follows gunicorn's table, so that formats written
// for either can be pasted; an Apache field never starts with a parenthesis, so the two can even
// be mixed. docs/access_log.md lists every field.
//
// Invariant: a rendered line is printable ASCII wherever the client or the application had a say.
// Neither can end the line, leave a quoted field or reach a terminal with a control sequence.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace prowingen {

/// What is known about an exchange when it is over. Views are needed during the call only.
struct AccessRecord {
  const RequestHead* request = nullptr;  // null: refused before a request line could be parsed
  std::string_view remote_address;       // empty: a peer without one, as on a Unix socket
  std::string_view remote_port;
  int status = 0;                          // 0: the client left before there was an answer
  const ResponseHead* response = nullptr;  // null: no head was ever built
  std::uint64_t body_bytes_sent = 0;
  std::uint64_t bytes_sent = 0;  // head and framing included
  std::uint64_t bytes_received = 0;
  std::chrono::system_clock::time_point received{};  // first byte of the request
  std::chrono::nanoseconds total_time{};             // first byte received to last byte sent
  std::chrono::nanoseconds queue_time{};             // queued to taken by a worker
  std::chrono::nanoseconds app_time{};               // taken to the application's end
  std::string_view scheme;
  std::string_view tls_protocol;  // these three are empty without TLS
  std::string_view tls_cipher;
  std::string_view tls_server_name;     // that the client asked for (SNI), if it did
  std::int64_t stream = -1;             // of HTTP/2; -1: the version has none
  bool complete = true;                 // false: the client left or the answer was cut
  unsigned connection_requests = 1;     // this one included: 1 for a connection's first
  std::int64_t messages_received = -1;  // of a WebSocket, as is the next; -1: it was none
  std::int64_t messages_sent = -1;
};

enum class AccessField : std::uint8_t;

class AccessLogFormat {
 public:
  /// Compiles `common`, `combined`, `json`, or a format of the user's own. Throws
  /// std::invalid_argument that names the offending field, its column and what would be valid.
  static AccessLogFormat compile(std::string_view spec);

  /// Appends the line for `record`, without a newline. Any thread.
  void render(const AccessRecord& record, std::string& out) const;

 private:
  friend class FormatParser;

  struct Step {
    AccessField field;
    std::string argument;  // a literal's text, a field's name, a strftime format
  };

  AccessLogFormat() = default;

  std::vector<Step> steps_;
  bool json_ = false;  // values are quoted and escaped as JSON strings, missing ones are null
};

}  // namespace prowingen
