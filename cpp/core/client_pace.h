// How fast a client moves that is waited for: with the rest of its request, or with taking an
// answer. One of these for each direction of a connection.
//
// A minimal rate is judged over windows. A window stretches over silence, which has time limits of
// its own (body_timeout, write_timeout), until something has moved, and once more if that is too
// little: whoever was cut off may have come back just before its end, and has as long as a window
// lasts to make up for the silence. Then it is judged by all of its time: a byte now and then gains
// nothing. Time in which the client is not waited for, because there is nothing to send or the
// server itself does not read, is nobody's: the window begins anew.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace prowingen {

/// A few stores for a request; the rest is done once for each window. I/O thread.
class ClientPace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// The client is waited for, from now on or still. `moved`: bytes in all.
  void wait(Time now, std::uint64_t moved) {
    if (waits() && moved - moved_then_ < good_part) return;
    since_ = now;
    moved_then_ = moved;
  }
  /// It is not, or a wait of another kind begins.
  void rest() {
    since_ = Time();
    rested_ = true;
  }
  bool waits() const { return since_ != Time(); }
  /// Since when it has been waited for, or has last got on by a good part.
  std::chrono::duration<double> waited(Time now) const {
    return waits() ? now - since_ : Time::duration::zero();
  }

  void open_window(Time now, std::uint64_t moved) {
    opened_ = now;
    moved_before_ = moved;
    rested_ = has_moved_ = false;
  }
  /// At the end of a window. The next one has begun then, unless this one stretches.
  bool too_slow(Time now, std::uint64_t moved, double bytes_per_second) {
    if (!rested_) {
      if (!has_moved_ && moved == moved_before_) return false;
      const std::chrono::duration<double> seconds = now - opened_;
      // What has moved is an estimate, which may go back.
      const auto bytes = moved > moved_before_ ? static_cast<double>(moved - moved_before_) : 0.0;
      if (bytes < bytes_per_second * seconds.count()) return std::exchange(has_moved_, true);
    }
    open_window(now, moved);
    return false;
  }

 private:
  // Whoever moves by this much is not what memory is short for.
  static constexpr std::uint64_t good_part = std::uint64_t{64} * 1024;

  Time since_;
  std::uint64_t moved_then_ = 0;
  Time opened_;
  std::uint64_t moved_before_ = 0;
  bool has_moved_ = false;  // too little by the window's end, which was put off
  bool rested_ = false;
};

}  // namespace prowingen
