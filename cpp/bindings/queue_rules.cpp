#include "bindings/queue_rules.h"

#include <chrono>
#include <memory>
#include <utility>

namespace prowingen::bindings {
namespace {

std::chrono::nanoseconds nanoseconds_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(to_duration(seconds));
}

}  // namespace

QueuePatience queue_patience(const Options& options, LostRequests::Report report) {
  QueuePatience patience;
  patience.limit = nanoseconds_of(options.queue_timeout);
  const auto lost = std::make_shared<LostRequests>(
      " requests waited for a worker longer than queue_timeout and were answered 503",
      std::move(report));
  patience.on_expired = [lost](std::size_t count) { lost->add(count); };
  return patience;
}

QueueTarget queue_target(const Options& options, LostRequests::Report report) {
  // As CoDel has it: a twentieth of the time in which a burst should be over.
  constexpr int intervals = 20;
  QueueTarget target;
  target.target = nanoseconds_of(options.queue_target);
  target.interval = target.target * intervals;
  const auto lost = std::make_shared<LostRequests>(
      " requests waited for a worker longer than queue_target, in a queue that does not get "
      "empty, and were answered 503",
      std::move(report));
  target.on_shed = [lost](std::size_t count) { lost->add(count); };
  return target;
}

}  // namespace prowingen::bindings
