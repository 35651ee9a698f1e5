#include "engine_proxygen/connection_ends.h"

#include <folly/io/async/AsyncSSLSocket.h>

#include <string>

#include "tls/context.h"
#if defined(PROWINGEN_PROXYGEN_HTTP3)
#include <proxygen/lib/http/session/HQSession.h>

#include "engine_proxygen/http3_tls.h"
#endif

namespace prowingen::proxygen_engine {
namespace {

void name_end(const folly::SocketAddress& address, std::string& host, std::string& port) {
  // A Unix socket has no name; the session may have put 0.0.0.0:0 in its place.
  if (!address.isInitialized() || !address.isFamilyInet() || address.getPort() == 0) return;
  host = address.getAddressStr();
  port = std::to_string(address.getPort());
}

}  // namespace

std::shared_ptr<ConnectionInfo> connection_ends(const px::HTTPSessionBase& session) {
  auto info = std::make_shared<ConnectionInfo>();
  name_end(session.getPeerAddress(), info->remote_address, info->remote_port);
  name_end(session.getLocalAddress(), info->local_address, info->local_port);
  return info;
}

std::shared_ptr<const TlsFacts> tls_facts_of(const px::HTTPSessionBase& session) {
#if defined(PROWINGEN_PROXYGEN_HTTP3)
  if (const auto* quic = dynamic_cast<const px::HQSession*>(&session)) {
    return facts_of(*quic->getQuicSocket());
  }
#endif
  const auto* tls = session.getTransport()->getUnderlyingTransport<folly::AsyncSSLSocket>();
  return tls == nullptr ? nullptr : tls::facts_of(*tls->getSSL());
}

ConnectionInfo peer_end(const folly::SocketAddress& peer) {
  ConnectionInfo info;
  name_end(peer, info.remote_address, info.remote_port);
  return info;
}

}  // namespace prowingen::proxygen_engine
