#include "health/readiness.h"

#include <array>

namespace prowingen::health {

std::string_view describe(Obstacle obstacle) {
  constexpr std::array<std::string_view, 6> clauses{"ready",
                                                    "it is about to stop",
                                                    "an administrator says so",
                                                    "the application says so",
                                                    "every worker thread is stuck",
                                                    "requests wait for longer than queue_timeout"};
  return clauses[static_cast<std::size_t>(obstacle)];
}

Obstacle obstacle_of(const Condition& condition, const Patience& patience) {
  if (condition.draining) return Obstacle::draining;
  if (condition.withdrawn) return Obstacle::withdrawn;
  if (condition.told) return Obstacle::told;
  if (condition.stalled > patience.stalled) return Obstacle::stuck;
  if (patience.waiting.count() != 0 && condition.waiting > patience.waiting) {
    return Obstacle::overdue;
  }
  return Obstacle::none;
}

}  // namespace prowingen::health
