#include "engine_proxygen/connection_ends.h"

#include <string>

namespace prowingen::proxygen_engine {
namespace {

void name_end(const folly::SocketAddress& address, std::string& host, std::string& port) {
  // A Unix socket has no name; the session may have put 0.0.0.0:0 in its place.
  if (!address.isInitialized() || !address.isFamilyInet() || address.getPort() == 0) return;
  host = address.getAddressStr();
  port = std::to_string(address.getPort());
}

}  // namespace

std::shared_ptr<ConnectionInfo> connection_ends(const px::HTTPMessage& message) {
  auto info = std::make_shared<ConnectionInfo>();
  name_end(message.getClientAddress(), info->remote_address, info->remote_port);
  name_end(message.getDstAddress(), info->local_address, info->local_port);
  return info;
}

ConnectionInfo peer_end(const folly::SocketAddress& peer) {
  ConnectionInfo info;
  name_end(peer, info.remote_address, info.remote_port);
  return info;
}

}  // namespace prowingen::proxygen_engine
