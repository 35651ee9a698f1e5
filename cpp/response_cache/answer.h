// What is sent of an entry.
#pragma once

#include <memory>

#include "core/exchange.h"
#include "response_cache/entry.h"

namespace prowingen::response_cache {

/// Answers an exchange that was taken.
void answer(Exchange& exchange, const std::shared_ptr<const Entry>& entry, SteadyTime now);

}  // namespace prowingen::response_cache
