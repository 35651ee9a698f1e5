// The engines that are built in, best first.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine.h"

namespace prowingen::bindings {

struct EngineEntry {
  std::string_view name;
  EngineFactory make;
  std::vector<std::string> (*protocols)(const Options& options);
  std::string (*version)();
  bool (*has_http3)();
};

std::span<const EngineEntry> engine_table();

/// The engine that is asked for, or the first that can do what is for "auto". Throws
/// std::invalid_argument.
const EngineEntry& find_engine(const Options& options);

}  // namespace prowingen::bindings
