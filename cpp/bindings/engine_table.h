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
};

std::span<const EngineEntry> engine_table();

/// The engine called `name`, or the first for "auto". Throws std::invalid_argument.
const EngineEntry& find_engine(std::string_view name);

}  // namespace prowingen::bindings
