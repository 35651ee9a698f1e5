// The answer to a request of which its transaction has not heard: one that is refused for its head.
#pragma once

#include "engine_proxygen/compat.h"
#include "http/refusal.h"

namespace prowingen::proxygen_engine {

class EventThread;

/// Answers when it is told of the error. It ends with its transaction. I/O thread only.
px::HTTPTransactionHandler* make_refusing_handler(EventThread& thread, const Refusal& refusal);

}  // namespace prowingen::proxygen_engine
