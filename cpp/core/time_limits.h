// For how long a request may be with a worker, by its path: what is said of the longest prefix of
// it, in whole segments, and else of all.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prowingen {

class Exchange;

class TimeLimits {
 public:
  using Duration = std::chrono::nanoseconds;

  TimeLimits() = default;
  /// `usual`: of whatever no prefix is of. Prefixes are of decoded paths; a slash at the end of one
  /// means nothing. 0: for as long as it takes.
  TimeLimits(Duration usual, const std::vector<std::pair<std::string, Duration>>& by_prefix);

  /// 0: for as long as it takes.
  Duration of(const Exchange& exchange) const;
  Duration of_path(std::string_view path) const;
  /// The shortest there is; 0: there is none.
  Duration shortest() const { return shortest_; }

 private:
  struct Prefix {
    std::string path;  // without a slash at its end
    Duration limit;
  };

  void consider(Duration limit);

  Duration usual_{0};
  Duration shortest_{0};
  std::vector<Prefix> prefixes_;  // the longest first
};

}  // namespace prowingen
