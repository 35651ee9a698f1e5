// What a step of a compiled access-log format appends. The compiler names fields, the renderer
// knows their values; nothing else sees them.
#pragma once

#include <cstdint>

namespace prowingen {

// clang-format off
enum class AccessField : std::uint8_t {
  literal,
  remote_address, remote_port, user, scheme,
  clf_time, iso_time, strftime_text, epoch_s, epoch_ms, epoch_us, ms_of_second, us_of_second,
  request_line, method, target, path, query, query_with_mark, protocol,
  request_field, response_field,
  tls_protocol, tls_cipher, tls_server_name, stream, messages_received, messages_sent,
  status, body_bytes, body_bytes_or_dash, bytes_sent, bytes_received,
  total_s, total_ms, total_us, total_decimal, queue_us, queue_decimal, app_us, app_decimal,
  complete, connection_requests, keep_alive_requests, pid, pid_in_brackets,
};
// clang-format on

}  // namespace prowingen
