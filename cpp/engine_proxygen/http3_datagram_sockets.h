// UDP sockets for mvfst that answer by the address that was asked. One that is bound to all
// addresses of the machine would answer by whichever the kernel finds nearest, and clients drop
// what comes from elsewhere.
//
//   listening socket --a datagram, with the address that it was sent to--> QuicServer
//        |                                          a connection begins there and then
//        | answers without a connection              v
//        '--by that address                       its socket: by that address for good
//
// A connection stays with the address that it was begun at (RFC 9000 section 9).
#pragma once

#include <quic/server/QuicUDPSocketFactory.h>

#include <memory>

#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// Has a socket that is bound tell of what it reads where it was sent to, if it may be various.
/// Throws std::system_error.
void tell_destinations(int socket, const folly::SocketAddress& bound_to);

/// Of the sockets that are read, whose descriptors mvfst sets.
std::unique_ptr<quic::QuicUDPSocketFactory> listening_sockets(const folly::SocketAddress& bound_to);

/// Of connections' sockets, which have a listening one's descriptor.
std::unique_ptr<quic::QuicUDPSocketFactory> connection_sockets();

}  // namespace prowingen::proxygen_engine
