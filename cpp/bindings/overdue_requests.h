// What a server does about requests that take longer than they may. Their clients are answered
// without Python, by the watch's thread; what takes Python, the thread that takes the log does as
// soon as it has the GIL: it begins another worker thread, and shows where the late one is.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/log_channel.h"
#include "core/options.h"
#include "core/overdue.h"
#include "core/work_queue.h"

namespace prowingen::bindings {

/// Prefixes of paths as they are written in an option, each with the seconds that a request beneath
/// it may take.
using PrefixTimes = std::vector<std::pair<std::string, double>>;

class OverdueRequests {
 public:
  /// `tell(message, thread)`: logs a message and the stack of a thread, by its ident; 0: of none.
  OverdueRequests(const Options& options, const PrefixTimes& by_prefix, pybind11::object tell);

  /// What the queue is told.
  RunPatience patience() const;
  /// Whether RequestTimeout may be raised in a worker, and so come late.
  bool raises() const { return warned_before_.count() != 0; }

  struct Means {
    WorkQueue& queue;
    std::shared_ptr<LogChannel> channel;  // whose taker has the GIL
    std::function<bool()> add_thread;     // with the GIL; false: it cannot
    std::function<void()> too_many;       // without it: more are stuck than may be
  };
  /// Looks for them from now on, if any request has a limit.
  void begin(Means means);
  void stop() { watch_.reset(); }
  /// In a forked child, where its thread is not.
  void abandon() { static_cast<void>(watch_.release()); }

 private:
  // What is left to do with the GIL about one, without what it holds.
  struct Late {
    std::string message;
    WorkQueue::Worker worker;
    std::uint64_t turn;
    std::uint64_t thread;
    bool warned_only;
    bool wants_thread;
  };

  void handle(const OverdueWatch::Event& event);
  void see_to(const Late& late) const;
  std::string message_of(const OverdueWatch::Event& event) const;

  const TimeLimits limits_;
  const std::chrono::nanoseconds warned_before_;
  const std::size_t most_stuck_;
  const pybind11::object tell_;
  std::optional<Means> means_;
  std::unique_ptr<OverdueWatch> watch_;  // null: no request has a limit
};

}  // namespace prowingen::bindings
