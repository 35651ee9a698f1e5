// Answers that no worker gives: to requests that were queued, and have waited for one in vain.
#pragma once

#include "core/exchange.h"
#include "http/refusal.h"

namespace prowingen {

/// Any thread, for a queued exchange that nobody else will take. False: its client has left.
bool answer_natively(Exchange& exchange, const Refusal& refusal);

}  // namespace prowingen
