#include "core/served_exchange.h"

namespace prowingen {

void ServedExchange::renew() {
  recycle();
  keep_alive = true;
  submitted = head_written = false;
  framing = ResponseFraming::none;
  bytes_in = bytes_out = body_bytes_out = 0;
}

}  // namespace prowingen
