// The start_response callable of PEP 3333 and the write() callable that it returns.
#pragma once

#include <Python.h>

#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

class Responder;

PyTypeObject* make_start_response_type();
PyTypeObject* make_write_type();

/// Lends a start_response callable to one application call after the other: an application that
/// keeps it past its return gets an error from it, and the next call a new one.
class StartResponse {
 public:
  /// A callable that feeds `responder`; null with a Python error set.
  PyObject* lend(Responder& responder);
  /// The application call is over.
  void take_back();

 private:
  PyRef object_;
};

}  // namespace prowingen::wsgi
