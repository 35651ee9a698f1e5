// A connection's two ends as text.
#pragma once

#include <memory>

#include "core/exchange.h"
#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// As the session wrote them into the message of a request.
std::shared_ptr<ConnectionInfo> connection_ends(const px::HTTPMessage& message);

/// The remote end alone.
ConnectionInfo peer_end(const folly::SocketAddress& peer);

}  // namespace prowingen::proxygen_engine
