// Whether any process of a server is ready, by the scoreboard that they share.
#pragma once

#include "health/readiness.h"
#include "processes/scoreboard.h"

namespace prowingen::bindings {

/// Its process is there, and writes its figures.
bool is_alive(const Scoreboard::Slot& slot);
bool another_is_ready(Scoreboard& board, const health::Patience& patience);

}  // namespace prowingen::bindings
