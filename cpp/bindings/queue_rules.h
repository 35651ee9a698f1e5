// For how long requests may wait for a worker, by the options, and what is logged of those that
// have waited longer.
#pragma once

#include "core/lost_requests.h"
#include "core/options.h"
#include "core/work_queue.h"

namespace prowingen::bindings {

QueuePatience queue_patience(const Options& options, LostRequests::Report report);
QueueTarget queue_target(const Options& options, LostRequests::Report report);

}  // namespace prowingen::bindings
