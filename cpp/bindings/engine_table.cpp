#include "bindings/engine_table.h"

#include <array>
#include <stdexcept>

#include "core/options.h"
#include "engine_embedded/engine.h"
#if defined(PROWINGEN_HAS_PROXYGEN)
#include "engine_proxygen/engine.h"
#endif

namespace prowingen::bindings {
namespace {

constexpr std::array engines {
  EngineEntry{"embedded", embedded::make_engine, embedded::protocols, embedded::engine_version,
              [] { return false; }},
#if defined(PROWINGEN_HAS_PROXYGEN)
      EngineEntry{"proxygen", proxygen_engine::make_engine, proxygen_engine::protocols,
                  proxygen_engine::engine_version, proxygen_engine::has_http3},
#endif
};

}  // namespace

std::span<const EngineEntry> engine_table() { return engines; }

const EngineEntry& find_engine(const Options& options) {
  std::string known = "auto";
  for (const auto& entry : engines) {
    const bool able = !options.http3 || entry.has_http3();
    if (options.engine == entry.name && !able) {
      throw std::invalid_argument("http3: the " + options.engine +
                                  " engine that is built in has no HTTP/3");
    }
    if (options.engine == entry.name || (options.engine == "auto" && able)) return entry;
    known.append(", ").append(entry.name);
  }
  if (options.engine == "auto") {
    throw std::invalid_argument(
        "http3: no engine that is built in has HTTP/3: it takes proxygen's");
  }
  throw std::invalid_argument("engine: \"" + options.engine + "\" is not built in; choose from " +
                              known);
}

}  // namespace prowingen::bindings
