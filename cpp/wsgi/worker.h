// A worker thread as the adapter sees it, and the one place where the GIL is given up.
#pragma once

#include <Python.h>

#include <thread>

#include "core/work_queue.h"

namespace prowingen::wsgi {

struct Worker {
  WorkQueue& queue;
  WorkQueue::Worker id;
  std::thread::id thread = std::this_thread::get_id();
};

/// Calls `wait` without the GIL. With a worker that runs a request, the scheduler is told, so that
/// another one takes its place meanwhile.
template <class Wait>
auto without_gil(Worker* worker, Wait wait) {
  // An application may hand `wsgi.input` to a thread of its own, which is no worker.
  if (worker != nullptr && worker->thread != std::this_thread::get_id()) worker = nullptr;
  if (worker != nullptr) worker->queue.wait_begins(worker->id);
  PyThreadState* const state = PyEval_SaveThread();
  auto result = wait();
  PyEval_RestoreThread(state);
  if (worker != nullptr) worker->queue.wait_ends(worker->id);
  return result;
}

template <class Wait>
auto without_gil(Wait wait) {
  return without_gil(nullptr, std::move(wait));
}

}  // namespace prowingen::wsgi
