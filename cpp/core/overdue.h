// Requests that have been with a worker for longer than they may: they are looked for, and
// overruled, on a thread of its own that never waits for Python. See WorkQueue::take_overdue().
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "core/work_queue.h"

namespace prowingen {

class OverdueWatch {
 public:
  /// What has become of one; `done` says nothing of one that is only warned.
  struct Event {
    WorkQueue::Overdue request;
    Exchange::Overruling done;
  };
  /// On the watch's thread, which must not be kept for long.
  using Tell = std::function<void(Event)>;

  /// `interval`: no request that begins now is overdue before that. `queue` outlives it.
  OverdueWatch(WorkQueue& queue, std::chrono::nanoseconds interval, Tell tell);
  ~OverdueWatch() { stop(); }
  OverdueWatch(const OverdueWatch&) = delete;
  OverdueWatch& operator=(const OverdueWatch&) = delete;

  /// Tells of nothing any more once it returns. One thread; idempotent.
  void stop();

 private:
  void watch();

  WorkQueue& queue_;
  const std::chrono::nanoseconds interval_;
  const Tell tell_;
  std::mutex mutex_;
  std::condition_variable stops_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace prowingen
