// The embedded engine: an event loop of its own, Beast's parser, this project's policy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"

namespace prowingen::embedded {

/// An EngineFactory.
std::unique_ptr<Engine> make_engine(EngineContext context, std::vector<ListenerSpec> listeners);

/// What it can agree on with a client over TLS (RFC 7301), best first.
std::vector<std::string> protocols(const Options& options);

/// What it is made of, for --version: "Boost 1.74, nghttp2 1.52.0, OpenSSL 3.0.22 25 Aug 2026".
std::string engine_version();

}  // namespace prowingen::embedded
