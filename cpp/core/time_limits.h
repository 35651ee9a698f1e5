// For how long a request may be with a worker, by its path: what is said of the longest prefix of
// it, in whole segments, and else of all.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "core/path_prefixes.h"

namespace prowingen {

class TimeLimits {
 public:
  using Duration = std::chrono::nanoseconds;
  using ByPrefix = Prefixes<Duration>;

  TimeLimits() = default;
  /// `usual`: of whatever no prefix is of. 0: for as long as it takes.
  TimeLimits(Duration usual, std::vector<ByPrefix::Entry> by_prefix)
      : usual_(usual), by_prefix_(std::move(by_prefix)), shortest_(usual) {
    for (const auto& [prefix, limit] : by_prefix_.entries()) {
      if (limit.count() == 0) continue;
      shortest_ = shortest_.count() == 0 ? limit : std::min(shortest_, limit);
    }
  }

  /// 0: for as long as it takes.
  Duration of(const Exchange& exchange) const { return value(by_prefix_.find(exchange)); }
  Duration of_path(std::string_view path) const { return value(by_prefix_.find(path)); }
  /// The shortest there is; 0: there is none.
  Duration shortest() const { return shortest_; }

 private:
  Duration value(const ByPrefix::Entry* entry) const {
    return entry == nullptr ? usual_ : entry->value;
  }

  Duration usual_{0};
  ByPrefix by_prefix_;
  Duration shortest_{0};
};

}  // namespace prowingen
