#include "metrics/sample.h"

#include <optional>

namespace prowingen::metrics {

std::vector<Activity::Row> rows_of(const WorkQueue& queue) {
  std::vector<Activity::Row> rows;
  for (const auto& busy : queue.busy()) {
    if (rows.size() == Activity::rows_of_process) break;
    const bool timed = busy.deadline != SteadyTime();
    rows.push_back({busy.state, busy.thread, busy.since,
                    timed ? std::optional(busy.deadline) : std::nullopt,
                    request_line_of(busy.exchange->request), busy.exchange->peer->remote_address});
  }
  return rows;
}

void sample(Activity& activity, const WorkQueue& queue, SteadyTime now) {
  if (activity.is_watched(now)) activity.write(rows_of(queue), now);
}

}  // namespace prowingen::metrics
