// Whether a client has sent what nobody has read yet.
//
// A limit to a client's silence is served only after such a look: the process may not have run for
// a while, stopped or without a core, and a timer is then served before the sockets are.
#pragma once

#include <sys/socket.h>

namespace prowingen {

/// Of a connected, non-blocking socket.
inline bool has_unread_input(int socket) {
  char byte;
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

}  // namespace prowingen
