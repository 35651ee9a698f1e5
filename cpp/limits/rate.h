// How often something may happen, and whether it may now: the generic cell rate algorithm, a token
// bucket that is one number. That number is the time at which a bucket will be full again; each
// request moves it on by what one costs, and it may be ahead of now by as much as `burst` of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace prowingen::limits {

/// Nanoseconds of the monotonic clock, which all processes of a machine share.
using Nanoseconds = std::uint64_t;

struct Rate {
  Nanoseconds interval = 0;  // that one request costs; 0: none is too much
  std::uint64_t burst = 1;   // so many at once after a pause

  bool is_limit() const { return interval != 0; }

  friend bool operator==(const Rate&, const Rate&) = default;
};

/// Reads `100/s`, `600/m`, `1000/h burst 50`, or `off`. Without one, the burst is what one unit
/// has. Throws std::invalid_argument that says what is allowed.
Rate parse_rate(std::string_view text);

struct RateVerdict {
  bool admitted;
  Nanoseconds full_at;  // of the bucket, from now on
  Nanoseconds wait;     // until one is admitted; 0 if this one is
};

/// `full_at` is what the last verdict said; 0, or any time that has gone by: a full bucket.
constexpr RateVerdict judge(const Rate& rate, Nanoseconds full_at, Nanoseconds now) {
  const Nanoseconds next = std::max(full_at, now) + rate.interval;
  const Nanoseconds latest = now + rate.interval * rate.burst;
  if (next > latest) return {false, full_at, next - latest};
  return {true, next, 0};
}

}  // namespace prowingen::limits
