// The request that a raw handler is given. Its attributes are made when they are asked for: the
// head stays where the engine parsed it. With the GIL.
#pragma once

#include <Python.h>

#include <memory>

#include "core/exchange.h"
#include "wsgi/py_ref.h"

namespace prowingen::listener {

/// Makes the types, once. False with an error set.
bool init_request_types(PyObject* module);

/// `server` is kept alive: it owns what the exchange refers to.
wsgi::PyRef make_request(std::shared_ptr<Exchange> exchange, wsgi::PyRef server);

/// `upgrade`: what request.upgrade is from now on.
void set_upgrade(PyObject* request, wsgi::PyRef upgrade);

/// The request's body stream, if it was asked for: it ends with the answer.
wsgi::PyRef opened_body(PyObject* request);

}  // namespace prowingen::listener
