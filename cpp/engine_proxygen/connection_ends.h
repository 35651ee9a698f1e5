// A connection's two ends as text, and its TLS.
#pragma once

#include <memory>

#include "core/exchange.h"
#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// As the session wrote them into the message of a request.
std::shared_ptr<ConnectionInfo> connection_ends(const px::HTTPSessionBase& session);

/// Null: none.
std::shared_ptr<const TlsFacts> tls_facts_of(const px::HTTPSessionBase& session);

/// The remote end alone.
ConnectionInfo peer_end(const folly::SocketAddress& peer);

}  // namespace prowingen::proxygen_engine
