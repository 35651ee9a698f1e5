#include "core/time_limits.h"

#include <algorithm>

#include "core/exchange.h"
#include "http/request_target.h"

namespace prowingen {
namespace {

bool is_beneath(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

TimeLimits::TimeLimits(Duration usual,
                       const std::vector<std::pair<std::string, Duration>>& by_prefix)
    : usual_(usual) {
  consider(usual);
  for (const auto& [prefix, limit] : by_prefix) {
    const bool has_slash = prefix.ends_with('/');
    prefixes_.push_back({prefix.substr(0, prefix.size() - (has_slash ? 1 : 0)), limit});
    consider(limit);
  }
  std::ranges::sort(prefixes_, std::ranges::greater(),
                    [](const Prefix& prefix) { return prefix.path.size(); });
}

void TimeLimits::consider(Duration limit) {
  if (limit.count() == 0) return;
  shortest_ = shortest_.count() == 0 ? limit : std::min(shortest_, limit);
}

TimeLimits::Duration TimeLimits::of(const Exchange& exchange) const {
  if (prefixes_.empty()) return usual_;
  std::string buffer;
  const auto target = split_target(exchange.request.target());
  return of_path(application_path(exchange, percent_decode(target.path, buffer)));
}

TimeLimits::Duration TimeLimits::of_path(std::string_view path) const {
  const auto found = std::ranges::find_if(
      prefixes_, [&](const Prefix& prefix) { return is_beneath(path, prefix.path); });
  return found == prefixes_.end() ? usual_ : found->limit;
}

}  // namespace prowingen
