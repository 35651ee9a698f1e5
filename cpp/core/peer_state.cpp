#include "core/peer_state.h"

#include <poll.h>
#include <sys/socket.h>

namespace prowingen {

PeerState peer_state(int socket) {
#if defined(POLLRDHUP)
  pollfd look{socket, POLLRDHUP, 0};
  if (::poll(&look, 1, 0) <= 0) return PeerState::present;
  if ((look.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return PeerState::gone;
  return PeerState::finished;
#else
  // An end behind bytes that nobody has read stays unseen until they are.
  pollfd look{socket, POLLIN, 0};
  if (::poll(&look, 1, 0) <= 0) return PeerState::present;
  if ((look.revents & (POLLERR | POLLNVAL)) != 0) return PeerState::gone;
  char byte;
  const auto got = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0) return PeerState::gone;
  return got == 0 ? PeerState::finished : PeerState::present;
#endif
}

}  // namespace prowingen
