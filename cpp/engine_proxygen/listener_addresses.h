// Which listening socket a connection came in by. folly does not say; the connection's own end
// does: the kernel gives a connection to the socket that is bound to just that address, else to the
// one that is bound to all addresses of the port.
#pragma once

#include <vector>

#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

class ListenerAddresses {
 public:
  /// The next listening socket's, as it is bound. Before there is a thread that asks.
  void add(folly::SocketAddress address) { addresses_.push_back(std::move(address)); }

  const std::vector<folly::SocketAddress>& all() const { return addresses_; }

  /// The place in that order of the socket that took a connection with this end. Any thread.
  unsigned listener_at(const folly::SocketAddress& local) const;

 private:
  std::vector<folly::SocketAddress> addresses_;
};

}  // namespace prowingen::proxygen_engine
