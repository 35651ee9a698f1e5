// How far a peer is behind with reading.
#pragma once

#include <cstddef>

namespace prowingen {

/// Bytes written to a stream socket that the peer has not acknowledged; 0 where the platform cannot
/// tell. A socket turns writable only when a good part of its buffer is free: that this number
/// falls is the only sign of a peer that reads slowly but does read.
std::size_t unacknowledged_bytes(int socket);

}  // namespace prowingen
