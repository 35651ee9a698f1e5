// Clients that ask too often are answered 429 by the I/O thread that read the request: without a
// worker and without the GIL, before the queue.
//
//   engine --submit--> RateLimits --submit--> WorkQueue
//                          `--> path -> Rate, client -> RateTable -> 429
//
// A client is an IPv4 address, or the /64 of an IPv6 one, which is what one site is given: as
// trusted proxies tell it. Who comes by a Unix socket that no proxy says more of is nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine.h"
#include "core/lost_requests.h"
#include "core/path_prefixes.h"
#include "limits/rate.h"
#include "limits/rate_table.h"
#include "proxies/networks.h"

namespace prowingen::limits {

/// Each with its prefix.
using Rates = std::vector<Prefixes<Rate>::Entry>;

/// Reads `RATE` or `PREFIX=RATE`, each. Throws std::invalid_argument that quotes the first that is
/// neither.
Rates parse_rate_limits(const std::vector<std::string>& texts);

/// And where clients are counted; without a table, apart from others.
struct CountedRates {
  Rates rates;
  RateTable* table = nullptr;
};

/// Whose requests are counted together, as octets of an address; empty: nobody's.
std::span<const std::uint8_t> client_of(const std::optional<IpAddress>& address);

class RateLimits final : public RequestSink {
 public:
  /// `table` outlives it.
  RateLimits(const Rates& rates, RateTable& table, RequestSink& next,
             const LostRequests::Report& report);

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return next_.backlog(); }

  struct Counters {
    std::uint64_t refused = 0;
    std::uint64_t uncounted = 0;  // let through, as the table was full
  };
  Counters counters() const { return {refused_.load(), uncounted_.load()}; }

 private:
  /// Of the client alone, whatever it asks for; 0: it is nobody. Made once a connection.
  std::uint64_t client_name(const ConnectionInfo& peer) const;
  /// Whether it has answered.
  bool refuses(Exchange& exchange, Nanoseconds now);

  struct Rule {
    Rate rate;
    std::uint64_t salt;  // tells its buckets from those of other rules, also after a reload
  };
  static Prefixes<Rule> make_rules(const Rates& rates, const RateTable& table);

  const Prefixes<Rule> rules_;
  RateTable& table_;
  RequestSink& next_;
  LostRequests log_refused_;
  LostRequests log_uncounted_;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::uint64_t> uncounted_ = 0;
};

}  // namespace prowingen::limits
