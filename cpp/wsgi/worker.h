// A worker thread as the adapters see it, and the one place where the GIL is given up.
#pragma once

#include <Python.h>

#include <utility>

#include "core/work_queue.h"

namespace prowingen::wsgi {

/// Makes the thread that it is made in a worker of `queue`, for as long as it lives.
class Worker {
 public:
  explicit Worker(WorkQueue& requests) : queue(requests), id(requests.enrol()) { current_ = this; }
  ~Worker() { current_ = nullptr; }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// This thread's; null in a thread of the application's own.
  static Worker* current() { return current_; }

  WorkQueue& queue;
  const WorkQueue::Worker id;

 private:
  static inline thread_local Worker* current_ = nullptr;
};

/// Calls `wait` without the GIL.
template <class Wait>
auto release_gil(Wait wait) {
  PyThreadState* const state = PyEval_SaveThread();
  auto result = wait();
  PyEval_RestoreThread(state);
  return result;
}

/// The same in the middle of a request: the scheduler is told, so that another worker takes this
/// one's place meanwhile.
template <class Wait>
auto without_gil(Wait wait) {
  Worker* const worker = Worker::current();
  if (worker != nullptr) worker->queue.wait_begins(worker->id);
  auto result = release_gil(std::move(wait));
  if (worker != nullptr) worker->queue.wait_ends(worker->id);
  return result;
}

}  // namespace prowingen::wsgi
