// An exchange with what its connection keeps about it. I/O thread only.
#pragma once

#include <cstdint>
#include <optional>

#include "core/served_exchange.h"

namespace prowingen::embedded {

class Connection;

class Http1Exchange final : public ServedExchange {
 public:
  using ServedExchange::ServedExchange;
  void renew() {
    ServedExchange::renew();
    connection = nullptr;
    safe = false;
    head_size = 0;
    body_left.reset();
  }

  Connection* connection = nullptr;  // null once the connection is gone
  bool safe = false;                 // may be worked on ahead of the answers before it
  std::uint64_t head_size = 0;
  std::optional<std::uint64_t> body_left;  // of a body of known length
};

}  // namespace prowingen::embedded
