// wsgi.trailers: the trailer section of a request, a list of (name, value) tuples (RFC 9110 section
// 6.5). It is filled when the body has been read to its end, or at once if all of it was there
// before the application was called. It is never merged with the header fields. With the GIL.
#pragma once

#include <Python.h>

#include "core/exchange.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

/// A new list, with the trailer section if that is there by now; null with a Python error set.
/// `to_come`: it is to be filled later.
PyRef make_trailers(const Exchange& exchange, bool& to_come);

/// Of an exchange whose body is whole. False with a Python error set, and the list as it was.
bool fill_trailers(PyObject* trailers, const Exchange& exchange);

}  // namespace prowingen::wsgi
