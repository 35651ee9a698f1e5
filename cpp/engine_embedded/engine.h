// The embedded engine: an event loop of its own, Beast's parser, this project's policy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"

namespace prowingen::embedded {

/// An EngineFactory.
std::unique_ptr<Engine> make_engine(EngineContext context, std::vector<ListenerSpec> listeners);

/// What it is made of, for --version: "Boost 1.74".
std::string engine_version();

}  // namespace prowingen::embedded
