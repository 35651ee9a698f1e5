#include "bindings/statsd_terms.h"

#include <chrono>

#include "core/options.h"

namespace prowingen::bindings {

std::optional<statsd::Rules> statsd_rules(const StatsdTerms& terms) {
  if (!terms) return std::nullopt;
  const auto& [written, host, port, path, tagged, prefix, tags, interval] = *terms;
  statsd::Rules rules{{written, host, port, path},
                      {},
                      std::chrono::duration_cast<std::chrono::nanoseconds>(to_duration(interval))};
  rules.lines = {tagged ? statsd::Form::dogstatsd : statsd::Form::plain, prefix, tags,
                 rules.address.datagram_size()};
  return rules;
}

}  // namespace prowingen::bindings
