#include "core/connection_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/forks.h"

namespace prowingen {

void end_connection(int socket) {
  ::shutdown(socket, SHUT_WR);
  leave_to_children(socket);
  ::close(socket);
}

void reset_connection(int socket) {
#if defined(__linux__)
  // Dissolves the association at once, whoever else has the descriptor (connect(2)).
  const sockaddr nobody{AF_UNSPEC, {}};
  if (::connect(socket, &nobody, sizeof nobody) != 0)
#endif
  {
    const linger abortive{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &abortive, sizeof abortive);
  }
}

ConnectionSocket::ConnectionSocket(int socket) : socket_(socket) {
  if (socket >= 0) keep_from_children(socket);
}

void ConnectionSocket::end() {
  if (socket_ >= 0) end_connection(std::exchange(socket_, -1));
}

void ConnectionSocket::reset() {
  if (socket_ < 0) return;
  reset_connection(socket_);
  ::close(release());
}

int ConnectionSocket::release() {
  if (socket_ >= 0) leave_to_children(socket_);
  return std::exchange(socket_, -1);
}

}  // namespace prowingen
