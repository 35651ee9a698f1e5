// An exchange that is over, as what metrics count of it: once for each, in every version of HTTP
// and on every engine.
#pragma once

#include "core/served_exchange.h"
#include "processes/activity.h"
#include "processes/tally.h"

namespace prowingen::metrics {

/// `status`, `complete`: as log_exchange() has them; `now`: when it was over. I/O thread.
void count_exchange(Tally& tally, const ServedExchange& exchange, int status, bool complete,
                    SteadyTime now);

/// The same of one of the slowest ones, which is kept for who looks. I/O thread.
void note_slow_exchange(Activity& activity, const ServedExchange& exchange, int status,
                        bool complete, SteadyTime now);

/// The places of their names in counted_causes, counted_methods and counted_protocols.
std::size_t cause_of(Departure departure);
std::size_t method_of(std::string_view method);
std::size_t protocol_of(HttpVersion version);

}  // namespace prowingen::metrics
