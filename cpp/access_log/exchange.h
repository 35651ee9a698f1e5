// An exchange that is over, as a line of the access log and in what metrics count.
#pragma once

#include <cstdint>

#include "core/served_exchange.h"

namespace prowingen {

struct EngineContext;

/// Writes the exchange to the access log and counts it, if there is somebody who wants to know it.
/// Once for each. `status`: 0 if there was no answer; `complete`: the whole of it was sent;
/// `connection_requests`: so far on its connection, this one included. I/O thread.
void log_exchange(const EngineContext& context, const ServedExchange& exchange, int status,
                  bool complete, std::uint64_t connection_requests);

}  // namespace prowingen
