// An exchange with what its connection keeps about it, in every version of HTTP. I/O thread only.
#pragma once

#include <cstdint>
#include <optional>

#include "core/served_exchange.h"

namespace prowingen::embedded {

class Connection;

class ConnectionExchange : public ServedExchange {
 public:
  using ServedExchange::ServedExchange;

  Connection* connection = nullptr;        // null once the connection is gone
  std::optional<std::uint64_t> body_left;  // of a body of known length

 protected:
  void renew() {
    ServedExchange::renew();
    connection = nullptr;
    body_left.reset();
  }
};

}  // namespace prowingen::embedded
