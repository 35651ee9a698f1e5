#include "metrics/count_exchange.h"

#include <unistd.h>

#include <algorithm>

namespace prowingen::metrics {
namespace {

constexpr std::size_t aborted = 0;

// What was refused before it was a request has taken no time.
bool is_request(const ServedExchange& exchange) { return exchange.received_at != SteadyTime(); }

// What became another protocol lasts for as long as that is spoken.
bool has_switched(const ServedExchange& exchange) {
  return exchange.head_written && exchange.framing == ResponseFraming::opaque;
}

// Otherwise a worker may be about to set when it took it.
bool has_waited(const ServedExchange& exchange) {
  return exchange.head_written && exchange.route != Route::native;
}

void count_times(Tally::Stripe& stripe, const ServedExchange& exchange, SteadyTime now) {
  stripe.add(cells::duration,
             is_request(exchange) ? now - exchange.received_at : SteadyTime::duration(0));
  if (!has_waited(exchange)) return;
  stripe.add(cells::queue_wait, exchange.taken_at - exchange.queued_at);
  if (exchange.route != Route::worker || exchange.finished_at == SteadyTime()) return;
  stripe.add(cells::application, exchange.finished_at - exchange.taken_at);
}

}  // namespace

std::size_t method_of(std::string_view method) {
  const auto known = std::ranges::find(counted_methods, method);
  // "other" is no method, though a client may send it.
  if (known == counted_methods.end()) return counted_methods.size() - 1;
  return static_cast<std::size_t>(known - counted_methods.begin());
}

std::size_t protocol_of(HttpVersion version) {
  if (version.major >= 3) return 3;
  if (version.major == 2) return 2;
  return version.minor == 0 ? 0 : 1;
}

// A reason that is added to the enum is to be given a name here, which the compiler sees to.
std::size_t cause_of(Departure departure) {
  switch (departure) {
    case Departure::client_closed: return 1;
    case Departure::body_timeout: return 2;
    case Departure::write_timeout: return 3;
    case Departure::too_slow: return 4;
    case Departure::memory_short: return 5;
    case Departure::malformed_body: return 6;
    case Departure::body_too_large: return 7;
    case Departure::server_stopped: return 8;
    case Departure::overruled: return 9;
    case Departure::none: break;
  }
  return 10;
}

void count_exchange(Tally& tally, const ServedExchange& exchange, int status, bool complete,
                    SteadyTime now) {
  auto& stripe = tally.of_io_thread();
  const bool answered = cells::is_status(status);
  stripe.add(cells::request(method_of(exchange.request.method()),
                            protocol_of(exchange.request.version),
                            answered ? static_cast<std::size_t>(status / cells::first_status) : 0));
  if (answered) stripe.add(cells::response(status));
  if (answered && !exchange.head_written) stripe.add(cells::refusal(status));
  stripe.add(cells::bytes_received, exchange.bytes_in);
  stripe.add(cells::bytes_sent, exchange.bytes_out);
  if (!complete) {
    const auto departure = exchange.departure();
    const bool by_application =
        departure == Departure::none && exchange.state() == ExchangeState::aborted;
    stripe.add(cells::causes_at + (by_application ? aborted : cause_of(departure)));
  }
  if (!has_switched(exchange)) count_times(stripe, exchange, now);
}

void note_slow_exchange(Activity& activity, const ServedExchange& exchange, int status,
                        bool complete, SteadyTime now) {
  const auto took = now - exchange.received_at;
  if (!activity.is_slow(took, now)) return;
  if (!is_request(exchange) || has_switched(exchange)) return;
  Activity::Slow slow;
  slow.ended = now;
  slow.worker = static_cast<std::uint64_t>(::getpid());
  slow.took = took;
  if (has_waited(exchange)) slow.queued = exchange.taken_at - exchange.queued_at;
  slow.status = status;
  slow.complete = complete;
  slow.request = request_line_of(exchange.request);
  activity.note_slow(slow);
}

}  // namespace prowingen::metrics
