#include "bindings/engine_table.h"

#include <array>
#include <stdexcept>

#include "engine_embedded/engine.h"
#if defined(PROWINGEN_HAS_PROXYGEN)
#include "engine_proxygen/engine.h"
#endif

namespace prowingen::bindings {
namespace {

constexpr std::array engines {
  EngineEntry{"embedded", embedded::make_engine, embedded::protocols, embedded::engine_version},
#if defined(PROWINGEN_HAS_PROXYGEN)
      EngineEntry{"proxygen", proxygen_engine::make_engine, proxygen_engine::protocols,
                  proxygen_engine::engine_version},
#endif
};

}  // namespace

std::span<const EngineEntry> engine_table() { return engines; }

const EngineEntry& find_engine(std::string_view name) {
  std::string known = "auto";
  for (const auto& entry : engines) {
    if (name == "auto" || name == entry.name) return entry;
    known.append(", ").append(entry.name);
  }
  throw std::invalid_argument("engine: \"" + std::string(name) +
                              "\" is not built in; choose from " + known);
}

}  // namespace prowingen::bindings
