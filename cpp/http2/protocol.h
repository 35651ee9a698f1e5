// Names and numbers of RFC 9113: frame types, flags, settings and error codes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "http/request_policy.h"

namespace prowingen::http2 {

/// Section 6. There are others, which mean nothing here and may be sent.
enum class FrameType : std::uint8_t {
  data = 0x0,
  headers = 0x1,
  priority = 0x2,
  rst_stream = 0x3,
  settings = 0x4,
  push_promise = 0x5,
  ping = 0x6,
  goaway = 0x7,
  window_update = 0x8,
  continuation = 0x9
};

namespace flag {
inline constexpr std::uint8_t end_stream = 0x1;
inline constexpr std::uint8_t ack = 0x1;
inline constexpr std::uint8_t end_headers = 0x4;
inline constexpr std::uint8_t padded = 0x8;
inline constexpr std::uint8_t priority = 0x20;
}  // namespace flag

/// Section 6.5.2.
enum class Setting : std::uint8_t {
  header_table_size = 0x1,
  enable_push = 0x2,
  max_concurrent_streams = 0x3,
  initial_window_size = 0x4,
  max_frame_size = 0x5,
  max_header_list_size = 0x6,
  enable_connect_protocol = 0x8  // RFC 8441 section 3
};

/// Section 7.
enum class ErrorCode : std::uint8_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  flow_control_error = 0x3,
  stream_closed = 0x5,
  frame_size_error = 0x6,
  refused_stream = 0x7,
  cancel = 0x8,
  compression_error = 0x9,
  enhance_your_calm = 0xb
};

/// Section 4.2: of a frame's payload, as long as nobody has announced that it takes more.
inline constexpr std::size_t max_frame_size = 16'384;
inline constexpr std::uint32_t max_window = 0x7FFF'FFFF;

/// What a server announces, and keeps its clients to.
struct Settings {
  std::uint32_t max_streams = 128;
  std::uint32_t stream_window = 256 * 1024;
  std::uint32_t connection_window = 4 * stream_window;
  RequestLimits limits = {};
  /// A request may ask for another protocol on its stream (RFC 8441).
  bool extended_connect = false;
};

}  // namespace prowingen::http2
