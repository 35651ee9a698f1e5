// Which requests are kept apart so that they cannot take every worker: those beneath a prefix.
#pragma once

#include <string>
#include <vector>

#include "core/bulkheads.h"

namespace prowingen::limits {

/// Reads `PREFIX=N`, each: a lane. Throws std::invalid_argument that quotes the first that is none.
BulkheadRules parse_lanes(const std::vector<std::string>& texts);

}  // namespace prowingen::limits
