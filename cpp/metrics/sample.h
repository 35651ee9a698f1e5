// What the workers of a process are in, written where all processes of its server see it.
#pragma once

#include "core/work_queue.h"
#include "processes/activity.h"

namespace prowingen::metrics {

/// Does nothing unless somebody watches. Any thread.
void sample(Activity& activity, const WorkQueue& queue, SteadyTime now);

}  // namespace prowingen::metrics
