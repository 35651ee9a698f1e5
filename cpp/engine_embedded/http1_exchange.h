// An exchange of HTTP/1.x. I/O thread only.
#pragma once

#include <cstdint>

#include "engine_embedded/connection_exchange.h"

namespace prowingen::embedded {

class Http1Exchange final : public ConnectionExchange {
 public:
  using ConnectionExchange::ConnectionExchange;
  void renew() {
    ConnectionExchange::renew();
    safe = output_over = false;
    head_size = 0;
  }

  bool safe = false;         // may be worked on ahead of the answers before it
  bool output_over = false;  // nothing follows what was taken of it
  std::uint64_t head_size = 0;
};

}  // namespace prowingen::embedded
