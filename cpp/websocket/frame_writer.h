// Frames as a server sends them: whole, and not masked (RFC 6455 section 5.1).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "websocket/protocol.h"

namespace prowingen::websocket {

/// What stands before a payload of this size.
std::string make_frame_head(Opcode opcode, std::uint64_t size, bool compressed);

/// `compressed`: the payload is that of a message by RFC 7692.
std::string make_frame(Opcode opcode, std::string_view payload, bool compressed = false);

/// A close frame; without a payload if there is no code to be sent. A reason that is too long is
/// cut where a character ends.
std::string make_close_frame(const Close& close);

}  // namespace prowingen::websocket
