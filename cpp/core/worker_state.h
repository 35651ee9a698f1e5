// What a worker thread that has a request is kept by, for whoever looks at it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace prowingen {

enum class WorkerState : std::uint8_t {
  running,             // of the pool
  waiting_for_client,  // likewise
  long_lived,          // beyond it
  stuck                // likewise: its request was answered in its place
};

inline constexpr std::array<std::string_view, 4> worker_state_names{"running", "waiting_for_client",
                                                                    "long_lived", "stuck"};

}  // namespace prowingen
