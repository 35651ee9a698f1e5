// Has a client keep to min_rate, in one direction, while it is waited for. The timer runs only
// then.
#pragma once

#include <cstdint>
#include <functional>

#include "core/client_pace.h"
#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

class EventThread;

/// Bytes in all.
struct Moved {
  std::uint64_t own = 0;    // of what is waited for
  std::uint64_t whole = 0;  // of all that shares the client's connection with it
};

/// I/O thread only.
class RateWatch final : private LoopTimer {
 public:
  /// The rate is that of the whole; who holds memory without getting on is told by its own.
  /// `too_slow`: ends the watch, or what it belongs to.
  RateWatch(EventThread& thread, std::function<Moved()> moved, std::function<void()> too_slow)
      : thread_(thread), moved_(std::move(moved)), too_slow_(std::move(too_slow)) {}

  /// The client is waited for, from now on or still.
  void wait();
  void rest() { pace_.rest(); }
  std::chrono::duration<double> waited(ClientPace::Time now) const { return pace_.waited(now); }

 private:
  void timeoutExpired() noexcept override;
  void schedule();

  EventThread& thread_;
  const std::function<Moved()> moved_;
  const std::function<void()> too_slow_;
  ClientPace pace_;
};

}  // namespace prowingen::proxygen_engine
