#include "limits/rate_limits.h"

#include <algorithm>
#include <stdexcept>

#include "core/native_answer.h"
#include "core/pass_on.h"
#include "http/refusal.h"

namespace prowingen::limits {
namespace {

constexpr std::size_t octets_of_site = 8;  // of the sixteen of an IPv6 address

std::optional<IpAddress> address_of(std::string_view text) {
  return IpAddress::parse(text.substr(0, text.find('%')));  // without its zone
}

std::chrono::seconds whole_seconds(Nanoseconds time) {
  return std::chrono::ceil<std::chrono::seconds>(
      std::chrono::nanoseconds(static_cast<std::int64_t>(time)));
}

}  // namespace

Rates parse_rate_limits(const std::vector<std::string>& texts) {
  Rates rates;
  for (const std::string& text : texts) {
    try {
      const auto sign = text.rfind('=');
      const bool has_prefix = sign != std::string::npos;
      auto prefix = has_prefix ? plain_prefix(std::string_view(text).substr(0, sign)) : "";
      rates.push_back({std::move(prefix), parse_rate(text.substr(has_prefix ? sign + 1 : 0))});
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("rate_limit: \"" + text + "\": " + error.what());
    }
  }
  return rates;
}

std::span<const std::uint8_t> client_of(const std::optional<IpAddress>& address) {
  if (!address) return {};
  const auto octets = address->octets();
  return octets.first(std::min(octets.size(), octets_of_site));
}

Prefixes<RateLimits::Rule> RateLimits::make_rules(const Rates& rates, const RateTable& table) {
  std::vector<Prefixes<Rule>::Entry> rules;
  for (const auto& [prefix, rate] : rates) {
    const std::string salt =
        std::to_string(rate.interval) + " " + std::to_string(rate.burst) + prefix;
    const std::vector<std::uint8_t> octets(salt.begin(), salt.end());
    rules.push_back({prefix, {rate, table.name_of(octets)}});
  }
  return Prefixes<Rule>(std::move(rules));
}

RateLimits::RateLimits(const Rates& rates, RateTable& table, RequestSink& next,
                       const LostRequests::Report& report)
    : rules_(make_rules(rates, table)),
      table_(table),
      next_(next),
      log_refused_(" requests came faster than rate_limit allows and were answered 429", report),
      log_uncounted_(
          " requests were not counted for rate_limit: more clients than it has room for ask at the "
          "same time",
          report) {}

std::size_t RateLimits::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  const auto now = static_cast<Nanoseconds>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
  return pass_on_rest(exchanges, next_, [&](Exchange& exchange) { return refuses(exchange, now); });
}

std::uint64_t RateLimits::client_name(const ConnectionInfo& peer) const {
  if (const auto known = peer.client_name.get(); known != 0) return known;
  const auto address = address_of(peer.remote_address);
  const auto client = client_of(address);
  if (client.empty()) return 0;
  const auto name = table_.name_of(client);
  peer.client_name.set(name);
  return name;
}

bool RateLimits::refuses(Exchange& exchange, Nanoseconds now) {
  const auto* const rule = rules_.find(exchange);
  if (rule == nullptr || !rule->value.rate.is_limit()) return false;
  const auto client = client_name(*exchange.peer);
  if (client == 0) return false;
  // Both are keyed hashes, so that their sum is as hard to choose as either.
  const auto name = RateTable::name_of(client + rule->value.salt);
  const auto answer = table_.ask(name, rule->value.rate, now);
  if (answer.outcome == RateTable::Outcome::admitted) return false;
  if (answer.outcome == RateTable::Outcome::no_room) {
    uncounted_.fetch_add(1, std::memory_order_relaxed);
    log_uncounted_.add(1);
    return false;
  }
  refused_.fetch_add(1, std::memory_order_relaxed);
  log_refused_.add(1);
  if (take_at_once(exchange)) send_refusal(exchange, over_rate_limit, whole_seconds(answer.wait));
  return true;
}

}  // namespace prowingen::limits
