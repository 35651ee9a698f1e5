#include "core/served_exchange.h"

#include "core/engine_figures.h"
#include "core/peer_state.h"
#include "core/unacknowledged.h"

namespace prowingen {

void ServedExchange::renew() {
  recycle();
  keep_alive = true;
  submitted = head_written = false;
  framing = ResponseFraming::none;
  bytes_in = bytes_out = body_bytes_out = 0;
  silent_since_ = SteadyTime();
  silent_at_ = 0;
}

bool ServedExchange::client_is_gone(int socket, SteadyTime now) {
  const auto state = peer_state(socket);
  if (state != PeerState::finished) return state == PeerState::gone;
  // One that is gone answers what is sent to it with a reset.
  const bool was_sent_something = bytes_out != silent_at_ || unacknowledged_bytes(socket) != 0;
  if (silent_since_ == SteadyTime() || was_sent_something) client_finished(now);
  return now - silent_since_ >= half_closed_patience;
}

std::string file_too_short(const Exchange& exchange) {
  return std::string(exchange.request.method()) + " " + std::string(exchange.request.target()) +
         ": the file became shorter while it was sent; the connection was closed";
}

}  // namespace prowingen
