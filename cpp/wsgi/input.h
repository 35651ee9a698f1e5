// wsgi.input: the request body as a file (PEP 3333 "Input and Error Streams"), as io.BufferedIOBase
// has it. With the GIL; what waits for the client gives it up.
#pragma once

#include <Python.h>

#include <memory>

#include "core/exchange.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

class EnvironBuilder;

PyTypeObject* make_input_type();

/// An input stream over the exchange's body; empty if it has none. `trailers`: a list that is
/// filled when the body has been read to its end; null: none is to be.
PyRef make_input(const std::shared_ptr<Exchange>& exchange, PyObject* trailers);

/// The request is over: reading from now on is an error (ValueError), as on a closed file.
void detach_input(PyObject* input);

/// Lends a stream to one application call after the other, as StartResponse does.
class LentInput {
 public:
  /// As make_input(). Null with a Python error set.
  PyObject* lend(const std::shared_ptr<Exchange>& exchange, PyObject* trailers);
  /// The application call is over, and the environ let go. Detaches it.
  void take_back(const EnvironBuilder& environs);

 private:
  PyRef object_;
};

}  // namespace prowingen::wsgi
