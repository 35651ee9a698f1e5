// opaque.stream: the connection, or the stream of HTTP/2, of a request whose answer switched
// protocols, as a duplex file and as a socket (WSGI's form of owin-OpaqueStream 0.2). With the GIL;
// what waits for the client gives it up.
#pragma once

#include <Python.h>

#include <cstddef>
#include <memory>

#include "core/exchange.h"
#include "wsgi/drop_list.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

/// Adds the types to what the module keeps. False with a Python error set.
bool init_opaque_types(PyObject* module);

/// A stream over an exchange whose head is sent. What is written waits in memory up to
/// `high_water` bytes. `server`: the Python object that `drop_list` is a part of.
PyRef make_opaque_stream(const std::shared_ptr<Exchange>& exchange, std::size_t high_water,
                         DropList& drop_list, PyObject* server);

/// opaque.call_cancelled: an event that is set once nothing more comes and nothing more is sent.
PyRef make_call_cancelled(const std::shared_ptr<Exchange>& exchange);

/// Ends it as its user did, or failed to: `failed` so that it does not look as if all was said.
/// Leaves no Python error set.
void end_opaque_stream(PyObject* stream, bool failed);

}  // namespace prowingen::wsgi
