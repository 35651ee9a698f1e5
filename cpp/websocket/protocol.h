// What RFC 6455 and RFC 7692 number and bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace prowingen::websocket {

/// RFC 6455 section 5.2; those that are left out are reserved.
enum class Opcode : std::uint8_t {
  continuation = 0x0,
  text = 0x1,
  binary = 0x2,
  close = 0x8,
  ping = 0x9,
  pong = 0xA
};

constexpr bool is_control(Opcode opcode) { return static_cast<unsigned>(opcode) >= 0x8; }

/// Of a control frame's payload (section 5.5).
inline constexpr std::size_t longest_control = 125;
/// Of a close frame's reason, which stands behind two octets.
inline constexpr std::size_t longest_reason = longest_control - 2;

/// Section 7.4.1, and what was registered since.
namespace close_code {
inline constexpr int normal = 1000;
inline constexpr int going_away = 1001;
inline constexpr int protocol_error = 1002;
inline constexpr int no_status = 1005;  // is never sent: there was no code
inline constexpr int abnormal = 1006;   // is never sent: there was no close frame
inline constexpr int not_utf8 = 1007;
inline constexpr int policy = 1008;
inline constexpr int too_large = 1009;
inline constexpr int internal_error = 1011;
inline constexpr int service_restart = 1012;
inline constexpr int try_again_later = 1013;
}  // namespace close_code

/// Whether a code may stand in a frame: the registered ones, and those of libraries and
/// applications (sections 7.4.1 and 7.4.2).
constexpr bool may_be_sent(int code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

/// Why a connection ends.
struct Close {
  int code = close_code::no_status;
  std::string reason;  // UTF-8
};

}  // namespace prowingen::websocket
