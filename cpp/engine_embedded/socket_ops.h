// The system calls on a non-blocking stream socket, with the platforms' differences in one place.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/connection_socket.h"

namespace prowingen::embedded {

/// Outcome of a transfer: bytes moved, or why none were.
struct Transfer {
  enum class Status : std::uint8_t { ok, end_of_stream, would_block, failed };
  Status status;
  std::size_t bytes = 0;
};

/// Reads what is there. End of stream is the peer's FIN.
Transfer receive(int socket, std::span<char> buffer);

/// Writes as much as the socket takes. `more` says that further bytes follow at once, so that the
/// kernel may hold back a segment that is not full.
Transfer send_vector(int socket, std::span<iovec> pieces, bool more);

/// Writes from a file without a copy through user space (sendfile(2)). A file that has become
/// shorter than `length` gives end_of_stream.
Transfer send_file(int socket, int file, std::uint64_t offset, std::uint64_t length);

/// Prepares a listening socket: non-blocking, and Nagle's algorithm off for what it accepts.
void prepare_listener(int listener);

struct Accepted {
  ConnectionSocket socket;  // none: see `error`
  int error = 0;
  sockaddr_storage peer{};
};
/// Accepts a connection as a non-blocking, close-on-exec socket with Nagle's algorithm off.
Accepted accept_connection(int listener);

}  // namespace prowingen::embedded
