// Runs a WSGI application for one exchange after the other (PEP 3333). With the GIL.
#pragma once

#include <Python.h>

#include <functional>
#include <memory>
#include <string>

#include "core/engine.h"
#include "core/exchange.h"
#include "core/options.h"
#include "wsgi/drop_list.h"
#include "wsgi/environ.h"
#include "wsgi/py_ref.h"
#include "wsgi/responder.h"
#include "wsgi/start_response.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {

/// Tells the error log of something that went wrong with a request; takes the Python error that
/// is set, if any, as its cause.
using ReportError = std::function<void(Severity, const std::string& message)>;

class Application {
 public:
  Application(PyRef callable, const Options& options, DropList& drop_list, ReportError report);

  /// What one worker thread reuses from request to request.
  struct Scratch {
    StartResponse start_response;
  };

  /// Calls the application and sees its answer through. Leaves no Python error set.
  void run(const std::shared_ptr<Exchange>& exchange, Worker& worker, Scratch& scratch);

 private:
  bool send_body(PyObject* result, Responder& responder);
  bool send_sequence(PyObject* result, Responder& responder);
  bool send_iterable(PyObject* result, Responder& responder);
  void close_result(PyObject* result, const Exchange& exchange);
  void handle_failure(Exchange& exchange, Responder& responder);

  PyRef callable_;
  DropList& drop_list_;
  EnvironBuilder environ_;
  const std::size_t high_water_;
  const ReportError report_;
};

}  // namespace prowingen::wsgi
