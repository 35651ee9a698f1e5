// Whether a process should be given requests, and if not, why: what load balancers and
// orchestrators ask for. All of it is told without Python, which may be stuck.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace prowingen::health {

/// In the order in which they are said.
enum class Obstacle : std::uint8_t { none, draining, withdrawn, told, stuck, overdue };

/// A clause for people.
std::string_view describe(Obstacle obstacle);

/// What is known of a process, at one time.
struct Condition {
  bool draining = false;                // it is about to stop
  bool withdrawn = false;               // an administrator has taken it out of load balancing
  bool told = false;                    // the application says that it is not ready
  std::chrono::nanoseconds stalled{0};  // for so long its workers have been stuck
  std::chrono::nanoseconds waiting{0};  // for so long the oldest request has waited for one
};

struct Patience {
  std::chrono::nanoseconds stalled;  // beyond it the workers are stuck for good
  std::chrono::nanoseconds waiting;  // 0: requests may wait for as long as it takes
};

Obstacle obstacle_of(const Condition& condition, const Patience& patience);

}  // namespace prowingen::health
