#include "engine_proxygen/listener_addresses.h"

#include <algorithm>

namespace prowingen::proxygen_engine {
namespace {

// A socket of both families gives IPv4's clients an address of IPv6.
bool takes_whole_port(const folly::SocketAddress& bound, const folly::SocketAddress& local) {
  return bound.isFamilyInet() && bound.getFamily() == local.getFamily() &&
         bound.getPort() == local.getPort() && bound.getIPAddress().isZero();
}

}  // namespace

unsigned ListenerAddresses::listener_at(const folly::SocketAddress& local) const {
  if (addresses_.size() == 1) return 0;
  auto found = std::ranges::find(addresses_, local);
  if (found == addresses_.end()) {
    found = std::ranges::find_if(addresses_,
                                 [&](const auto& bound) { return takes_whole_port(bound, local); });
  }
  // Bound to an address of the link, say, whose scope only one of the two names.
  return found == addresses_.end() ? 0 : static_cast<unsigned>(found - addresses_.begin());
}

}  // namespace prowingen::proxygen_engine
