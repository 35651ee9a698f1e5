#include "metrics/count_exchange.h"

#include <algorithm>

namespace prowingen::metrics {
namespace {

constexpr std::size_t aborted = 0;

void count_times(Tally::Stripe& stripe, const ServedExchange& exchange, SteadyTime now) {
  // What was refused before it was a request has taken no time.
  const bool is_request = exchange.received_at != SteadyTime();
  stripe.add(cells::duration, is_request ? now - exchange.received_at : SteadyTime::duration(0));
  // Otherwise a worker may be about to set them yet.
  if (!exchange.head_written || exchange.route == Route::native) return;
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
  // What became another protocol lasts for as long as that is spoken.
  const bool switched = exchange.head_written && exchange.framing == ResponseFraming::opaque;
  if (!switched) count_times(stripe, exchange, now);
}

}  // namespace prowingen::metrics
