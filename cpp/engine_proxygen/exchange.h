// An exchange with what its handler keeps about it. I/O thread only.
#pragma once

#include <cstdint>

#include "core/served_exchange.h"
#include "http/refusal.h"

namespace prowingen::proxygen_engine {

class Handler;

class HandledExchange final : public ServedExchange {
 public:
  using ServedExchange::ServedExchange;
  void renew() {
    ServedExchange::renew();
    handler = nullptr;
    refusal = nullptr;
    body_left = 0;
  }

  Handler* handler = nullptr;    // null once its transaction is gone
  Verdict refusal = nullptr;     // the head's fault: it is not served
  bool in_memory_queue = false;  // among those that wait for memory
  std::uint64_t body_left = 0;   // announced by Content-Length and not yet received
};

}  // namespace prowingen::proxygen_engine
