#include "core/unacknowledged.h"

#include <sys/socket.h>

#if defined(__linux__)
#include <linux/sockios.h>
#include <sys/ioctl.h>
#endif

namespace prowingen {

std::size_t unacknowledged_bytes(int socket) {
  int bytes = 0;
#if defined(__linux__)
  if (::ioctl(socket, SIOCOUTQ, &bytes) != 0) return 0;
#elif defined(SO_NWRITE)
  socklen_t size = sizeof bytes;
  if (::getsockopt(socket, SOL_SOCKET, SO_NWRITE, &bytes, &size) != 0) return 0;
#endif
  return static_cast<std::size_t>(bytes);
}

}  // namespace prowingen
