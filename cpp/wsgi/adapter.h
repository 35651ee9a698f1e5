// What worker threads do with a request: the interface between the work loop and those who know
// what an application is called with.
#pragma once

#include <Python.h>

#include <functional>
#include <memory>
#include <string>

#include "core/engine.h"
#include "core/exchange.h"
#include "core/work_queue.h"
#include "wsgi/responder.h"

namespace prowingen::wsgi {

/// Tells the error log of something that went wrong with a request; takes the Python error that
/// is set, if any, as its cause.
using ReportError = std::function<void(Severity, const std::string& message)>;

/// `GET /path HTTP/1.1`, for the error log.
std::string request_line(const Exchange& exchange);

/// Sees to an application that ended with the Python error that is set: reports it, answers 500 or
/// breaks the answer off, so that it does not look whole. Clears the error.
void handle_failure(Responder& responder, const ReportError& report);

/// With the GIL only.
class Adapter {
 public:
  virtual ~Adapter() = default;

  /// What one worker thread keeps from request to request.
  class Runner {
   public:
    virtual ~Runner() = default;
    /// Calls the application and sees its answer through. Leaves no Python error set.
    virtual void run(const std::shared_ptr<Exchange>& exchange) = 0;
  };

  /// On the worker's thread, whose requests are from `queue`. `server` is the Python object that
  /// the worker belongs to: whatever outlives the application's call keeps it alive.
  virtual std::unique_ptr<Runner> make_runner(WorkQueue& queue, PyObject* server) = 0;
};

}  // namespace prowingen::wsgi
