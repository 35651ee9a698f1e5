// A worker thread as the adapters see it, and the one place where the GIL is given up.
#pragma once

#include <Python.h>

#include <chrono>
#include <functional>
#include <utility>

#include "core/work_queue.h"

namespace prowingen::wsgi {

/// Makes the thread that it is made in a worker of `queue`, for as long as it lives.
class Worker {
 public:
  /// `more`: begins a further thread that becomes a worker; false, with no Python error set, if it
  /// cannot. `gil_waits`: told of each wait for the GIL; none: nobody wants to know.
  Worker(WorkQueue& requests, std::function<bool()> more,
         std::function<void(std::chrono::nanoseconds)> gil_waits)
      : queue(requests),
        id(requests.enrol(PyThread_get_thread_ident())),
        more_(std::move(more)),
        gil_waits_(std::move(gil_waits)) {
    current_ = this;
  }
  ~Worker() { current_ = nullptr; }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// This thread's; null in a thread of the application's own.
  static Worker* current() { return current_; }
  /// Has another thread take the place in the pool of the worker that the request is in, until that
  /// is over, since it lives long; a thread of the application's holds nobody up. False: there is
  /// no other, and it stays. With the GIL.
  static bool leave_pool_for(const Exchange& exchange) {
    Worker* const self = current_;
    return self == nullptr || self->leave_pool(exchange);
  }
  /// The same of this one, if it is in that request, by any thread that holds the GIL.
  bool leave_pool(const Exchange& exchange) {
    return request != &exchange || !queue.lets_leave() || queue.leave(id, more_);
  }
  bool times_gil() const { return static_cast<bool>(gil_waits_); }
  void waited_for_gil(std::chrono::nanoseconds waited) const {
    if (gil_waits_) gil_waits_(waited);
  }

  WorkQueue& queue;
  const WorkQueue::Worker id;
  const Exchange* request = nullptr;  // that it is in

 private:
  const std::function<bool()> more_;
  const std::function<void(std::chrono::nanoseconds)> gil_waits_;
  static inline thread_local Worker* current_ = nullptr;
};

/// The GIL is another's for as long as this lives, whatever is thrown.
class ReleasedGil {
 public:
  ReleasedGil() = default;
  ~ReleasedGil() { PyEval_RestoreThread(state_); }
  ReleasedGil(const ReleasedGil&) = delete;
  ReleasedGil& operator=(const ReleasedGil&) = delete;

 private:
  PyThreadState* const state_ = PyEval_SaveThread();
};

/// Calls `wait` without the GIL.
template <class Wait>
auto release_gil(Wait wait) {
  const ReleasedGil released;
  return wait();
}

/// The same in the middle of a request: the scheduler is told, so that another worker takes this
/// one's place meanwhile.
template <class Wait>
auto without_gil(Wait wait) {
  using Time = std::chrono::steady_clock::time_point;
  struct ToldQueue {
    Worker* const worker = Worker::current();
    const bool timed = worker != nullptr && worker->times_gil();
    Time waits_for_gil_since;
    ToldQueue() {
      if (worker != nullptr) worker->queue.wait_begins(worker->id);
    }
    ~ToldQueue() {
      if (worker != nullptr) worker->queue.wait_ends(worker->id);
      if (timed) worker->waited_for_gil(std::chrono::steady_clock::now() - waits_for_gil_since);
    }
  };
  struct GilWait {
    ToldQueue& told;
    ~GilWait() {
      if (told.timed) told.waits_for_gil_since = std::chrono::steady_clock::now();
    }
  };
  ToldQueue told;
  return release_gil([&] {
    const GilWait begins_after{told};
    return wait();
  });
}

}  // namespace prowingen::wsgi
