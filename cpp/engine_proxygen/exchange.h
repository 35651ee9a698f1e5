// An exchange with what its handler keeps about it. I/O thread only.
#pragma once

#include <cstdint>
#include <optional>

#include "core/exchange.h"
#include "core/response_policy.h"

namespace prowingen::proxygen_engine {

class Handler;

class HandledExchange final : public Exchange {
 public:
  using Exchange::Exchange;

  Handler* handler = nullptr;  // null once its transaction is gone
  bool submitted = false;
  bool head_written = false;
  ResponseFraming framing = ResponseFraming::none;
  std::uint64_t bytes_in = 0;
  std::uint64_t body_bytes_out = 0;
};

}  // namespace prowingen::proxygen_engine
