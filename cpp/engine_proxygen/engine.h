// The proxygen engine: proxygen's HTTPServer as installed, behind this project's policy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"

namespace prowingen::proxygen_engine {

/// An EngineFactory.
std::unique_ptr<Engine> make_engine(EngineContext context, std::vector<ListenerSpec> listeners);

/// What it can agree on with a client over TLS (RFC 7301), best first.
std::vector<std::string> protocols(const Options& options);

/// Whether the proxygen that was built in has QUIC.
bool has_http3();

/// What it is made of, for --version.
std::string engine_version();

}  // namespace prowingen::proxygen_engine
