// How much of what costs a client nothing a connection takes (RFC 9113 section 10.5). Each kind of
// it fills a bucket of its own, which leaks all the time; a client that fills one up is told to be
// calm and left.
//
//   resets      streams that the client resets, or makes the server reset, before their answer is
//               out (CVE-2023-44487, CVE-2025-8671)
//   control     PING, SETTINGS, PRIORITY, frames of types that nobody knows, and of closed streams
//   empty       frames of content without any, and without an end (CVE-2019-9518)
//   windows     WINDOW_UPDATE
//
// What there is a reason for earns the client some of those that it may send for it, later, too.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace prowingen::http2 {

enum class Flood : std::uint8_t { resets, control, empty, windows };
inline constexpr std::size_t flood_kinds = 4;

struct FloodLimit {
  std::string_view name;
  double burst;       // at once
  double per_second;  // and ever after
  double credit;      // that may be saved up
};

/// Well above what browsers, proxies and load generators do: a browser that leaves a page resets
/// its hundred streams once, and a proxy asks every few seconds whether the other end is alive.
inline constexpr std::array<FloodLimit, flood_kinds> flood_limits{{
    {"resets", 500, 50, 0},
    {"control frames", 1000, 100, 1000},
    {"empty frames", 100, 10, 0},
    {"window updates", 1000, 100, 20'000},
}};

/// A head fits into a few frames of the size that every client may send. nghttp2 has the same
/// limit.
inline constexpr unsigned most_continuations = 8;

/// I/O thread.
class FloodGuard {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// False: it is too much.
  bool note(Flood kind, Time now) {
    const auto index = static_cast<std::size_t>(kind);
    const FloodLimit& limit = flood_limits[index];
    Bucket& bucket = buckets_[index];
    const std::chrono::duration<double> passed = now - bucket.then;
    if (bucket.level > 0) {
      bucket.level = std::max(0.0, bucket.level - passed.count() * limit.per_second);
    }
    bucket.level += 1;
    bucket.then = now;
    return bucket.level <= limit.burst;
  }
  /// Something came or went for which a client may send so many.
  void earn(Flood kind, double frames) {
    const auto index = static_cast<std::size_t>(kind);
    Bucket& bucket = buckets_[index];
    bucket.level = std::max(-flood_limits[index].credit, bucket.level - frames);
  }

 private:
  struct Bucket {
    double level = 0;
    Time then;
  };
  std::array<Bucket, flood_kinds> buckets_{};
};

}  // namespace prowingen::http2
