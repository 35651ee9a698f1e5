// folly's sockets, ended as ConnectionSocket ends its own: children have no copy, or do not matter.
#pragma once

#include <folly/io/async/AsyncSocket.h>

namespace prowingen::proxygen_engine {

/// Takes over how a connection's socket is closed or reset. Right after the socket was made.
void keep_socket(folly::AsyncSocket& socket);

}  // namespace prowingen::proxygen_engine
