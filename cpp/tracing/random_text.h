// Names that nobody else has, by the system's own generator. Any thread. What it gives is kept for
// the thread's next ones, so that most of them cost no system call.
#pragma once

#include <cstddef>
#include <string>

namespace prowingen::tracing {

/// So many random bytes, 128 at most, in hexadecimal digits. Throws std::system_error.
std::string random_hex(std::size_t bytes);
/// A UUID of version 4 (RFC 9562 section 5.4). Throws likewise.
std::string make_uuid();

}  // namespace prowingen::tracing
