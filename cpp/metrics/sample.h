// What the workers of a process are in, written where all processes of its server see it.
#pragma once

#include <vector>

#include "core/work_queue.h"
#include "processes/activity.h"

namespace prowingen::metrics {

/// Of this process, as they are now; nothing unless the queue keeps what they are in. Any thread.
std::vector<Activity::Row> rows_of(const WorkQueue& queue);

/// Writes them; does nothing unless somebody watches. Any thread.
void sample(Activity& activity, const WorkQueue& queue, SteadyTime now);

}  // namespace prowingen::metrics
