// What becomes of a request of which its transaction has not heard: one that is refused for its
// head.
#pragma once

#include "engine_proxygen/compat.h"
#include "http/refusal.h"

namespace prowingen::proxygen_engine {

class EventThread;

// They end with their transaction. I/O thread only.

/// Answers when it is told of the error.
px::HTTPTransactionHandler* make_refusing_handler(EventThread& thread, const Refusal& refusal);
/// Ends a transaction whose stream was reset before it is told of its head.
px::HTTPTransactionHandler* make_resetting_handler();

}  // namespace prowingen::proxygen_engine
