#include "limits/lanes.h"

#include <charconv>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "core/path_prefixes.h"

namespace prowingen::limits {
namespace {

constexpr std::size_t most_workers = 4096;

std::size_t parse_count(std::string_view digits) {
  std::size_t count = 0;
  const auto* const end = digits.data() + digits.size();
  const auto [read, error] = std::from_chars(digits.data(), end, count);
  return error == std::errc() && read == end && count <= most_workers ? count : 0;
}

}  // namespace

BulkheadRules parse_lanes(const std::vector<std::string>& texts) {
  BulkheadRules rules;
  if (texts.empty()) return rules;
  std::vector<Prefixes<std::size_t>::Entry> lanes;
  for (const std::string& text : texts) {
    const auto sign = text.rfind('=');
    const auto count =
        sign == std::string::npos ? 0 : parse_count(std::string_view(text).substr(sign + 1));
    if (count == 0) {
      throw std::invalid_argument("max_concurrency: \"" + text +
                                  "\": must be a path prefix and a number of requests, 1 to 4096, "
                                  "such as /reports=2");
    }
    rules.most.push_back(count);
    lanes.push_back({plain_prefix(std::string_view(text).substr(0, sign)), rules.most.size()});
  }
  rules.lane_of = [prefixes = Prefixes<std::size_t>(std::move(lanes))](const Exchange& exchange) {
    const auto* const lane = prefixes.find(exchange);
    return lane == nullptr ? 0 : lane->value;
  };
  return rules;
}

}  // namespace prowingen::limits
