#include "core/served_exchange.h"

#include <optional>

#include "core/engine.h"
#include "core/engine_figures.h"
#include "core/options.h"
#include "core/peer_state.h"
#include "core/unacknowledged.h"

namespace prowingen {

void ServedExchange::renew() {
  recycle();
  keep_alive = true;
  submitted = head_written = waits_whole = length_declared_ = false;
  framing = ResponseFraming::none;
  bytes_in = bytes_out = body_bytes_out = 0;
  stream_id = -1;
  silent_since_ = SteadyTime();
  silent_at_ = 0;
  was_asked_ = false;
}

ServedExchange::Client ServedExchange::look_at_client(int socket, SteadyTime now,
                                                      bool can_be_asked) {
  const auto state = peer_state(socket);
  if (state != PeerState::finished) {
    return state == PeerState::gone ? Client::gone : Client::there;
  }
  // One that is gone answers what is sent to it with a reset.
  const bool was_sent_something = bytes_out != silent_at_ || unacknowledged_bytes(socket) != 0;
  if (silent_since_ == SteadyTime() || was_sent_something) client_finished(now);
  const auto silence = now - silent_since_;
  if (!can_be_asked) return silence >= half_closed_patience ? Client::gone : Client::there;
  if (was_asked_ ? silence < half_closed_again : silence < half_closed_question) {
    return Client::there;
  }
  was_asked_ = true;
  client_finished(now);
  return Client::asked_for;
}

std::string file_too_short(const Exchange& exchange) {
  return std::string(exchange.request.method()) + " " + std::string(exchange.request.target()) +
         ": the file became shorter while it was sent; the connection was closed";
}

void ServedExchange::expect_body(const RequestSemantics& semantics, const Options& options) {
  length_declared_ = semantics.framing == BodyFraming::content_length;
  may_have_trailers = !length_declared_ || request.version.major >= 2;
  if (length_declared_) return;
  waits_whole = options.chunked_body == "spool";
  // The application is given content, and not chunks (RFC 9112 section 7.1.3).
  if (semantics.framing == BodyFraming::chunked) request.remove_fields("Transfer-Encoding");
}

Exchange::Intake ServedExchange::take_in(std::string_view bytes, const EngineContext& context) {
  const std::size_t most = context.options.body_buffer;
  if (submitted) return append_body(bytes, most);
  return store_body(bytes, waits_whole ? std::nullopt : std::optional(most), context.spool);
}

void ServedExchange::end_body() {
  // Who asks later need not take a lock to learn that there is none.
  if (!submitted && trailers() == nullptr) may_have_trailers = false;
  if (has_body && !submitted && !length_declared_) {
    request.add_field("Content-Length", std::to_string(stored_body_size()));
  }
  finish_body();
}

}  // namespace prowingen
