#include "bindings/fleet_readiness.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace prowingen::bindings {
namespace {

// One whose figures are no more written has ended, or is about to.
constexpr std::chrono::seconds heartbeat_lasts{2};

}  // namespace

bool is_alive(const Scoreboard::Slot& slot) {
  const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
  const auto heartbeat = static_cast<std::int64_t>(slot.get(Score::heartbeat_ns));
  return now - std::chrono::nanoseconds(heartbeat) < heartbeat_lasts;
}

bool another_is_ready(Scoreboard& board, const health::Patience& patience) {
  const auto nanoseconds = [](std::uint64_t count) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(count));
  };
  for (std::size_t at = 0; at < board.used(); ++at) {
    const Scoreboard::Slot& slot = board.slot(at);
    const bool serves = slot.get(Score::accepting) != 0 && is_alive(slot);
    const health::Condition its{false, false, slot.get(Score::unready) != 0,
                                nanoseconds(slot.get(Score::stalled_ns)),
                                nanoseconds(slot.get(Score::waiting_ns))};
    if (serves && health::obstacle_of(its, patience) == health::Obstacle::none) return true;
  }
  return false;
}

}  // namespace prowingen::bindings
