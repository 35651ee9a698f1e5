// wsgi.trailers: the trailer section of a request, a list of (name, value) tuples (RFC 9110 section
// 6.5). It is filled when the body has been read to its end, or at once if all of it was there
// before the application was called. It is never merged with the header fields. With the GIL.
#pragma once

#include <Python.h>

#include "core/exchange.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

/// Lends a list to one application call after the other, as StartResponse does.
class LentTrailers {
 public:
  /// A list, empty but for the trailer section if that is there by now; null with a Python error
  /// set. `to_come`: it is to be filled later.
  PyObject* lend(const Exchange& exchange, bool& to_come);
  /// The application call is over, and the environ and the input let go.
  void take_back();

 private:
  PyRef list_;
};

/// Of an exchange whose body is whole. False with a Python error set, and the list as it was.
bool fill_trailers(PyObject* trailers, const Exchange& exchange);

}  // namespace prowingen::wsgi
