#include "engine_proxygen/kept_socket.h"

#include <folly/net/NetOpsDispatcher.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>

#include "core/connection_socket.h"
#include "core/forks.h"

namespace prowingen::proxygen_engine {
namespace {

/// The system calls that folly makes on a connection's socket.
class Endings final : public folly::netops::Dispatcher {
 public:
  int close(folly::NetworkSocket socket) override {
#if defined(__linux__)
    end_connection(socket.toFd());
    return 0;
#else
    // What is to be reset must not be shut down first, and only the kernel knows which that is.
    leave_to_children(socket.toFd());
    return Dispatcher::close(socket);
#endif
  }

  // folly resets by closing without lingering.
  int setsockopt(folly::NetworkSocket socket, int level, int name, const void* value,
                 socklen_t size) override {
    linger option{};
    if (level == SOL_SOCKET && name == SO_LINGER && size == sizeof option) {
      std::memcpy(&option, value, sizeof option);
      if (option.l_onoff != 0 && option.l_linger == 0) {
        reset_connection(socket.toFd());
        return 0;
      }
    }
    return Dispatcher::setsockopt(socket, level, name, value, size);
  }
};

}  // namespace

void keep_socket(folly::AsyncSocket& socket) {
  static const auto endings = std::make_shared<Endings>();
  socket.setOverrideNetOpsDispatcher(endings);
  keep_from_children(socket.getNetworkSocket().toFd());
}

}  // namespace prowingen::proxygen_engine
