// Whether anybody is left at the other end of a connection that nothing is read from or written to.
#pragma once

#include <cstdint>

namespace prowingen {

enum class PeerState : std::uint8_t {
  present,
  finished,  // it sends no more; it may be gone, or wait for its answers
  gone
};

/// What the system knows of the peer of a stream socket, whatever waits there to be read. Takes
/// nothing from it.
PeerState peer_state(int socket);

}  // namespace prowingen
