// An exchange with what its connection keeps about it. I/O thread only.
#pragma once

#include <cstdint>
#include <optional>

#include "core/exchange.h"
#include "core/response_policy.h"

namespace prowingen::embedded {

class Connection;

class Http1Exchange final : public Exchange {
 public:
  using Exchange::Exchange;
  void renew() {
    recycle();
    connection = nullptr;
    keep_alive = true;
    safe = submitted = head_written = false;
    framing = ResponseFraming::none;
    head_size = bytes_in = bytes_out = body_bytes_out = 0;
    body_left.reset();
  }

  Connection* connection = nullptr;  // null once the connection is gone
  bool keep_alive = true;            // as the client wants it; false once the head said close
  bool safe = false;                 // may be worked on ahead of the answers before it
  bool submitted = false;
  bool head_written = false;
  ResponseFraming framing = ResponseFraming::none;
  std::uint64_t head_size = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;  // as framed for the wire
  std::uint64_t body_bytes_out = 0;
  std::optional<std::uint64_t> body_left;  // of a body of known length
};

}  // namespace prowingen::embedded
