// An exchange that is over, as a line of the access log.
#pragma once

#include <cstdint>

#include "core/served_exchange.h"

namespace prowingen {

class AccessLog;

/// Writes the exchange to the access log, if there is one. `status`: 0 if there was no answer;
/// `complete`: the whole of it was sent; `connection_requests`: so far on its connection, this one
/// included. I/O thread.
void log_exchange(AccessLog* access_log, const ServedExchange& exchange, int status, bool complete,
                  std::uint64_t connection_requests);

}  // namespace prowingen
