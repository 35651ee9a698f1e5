// The socket that an application is given with a request that another protocol may follow, under
// the names that servers before this one have given it. docs/websocket.md has who looks for which.
// With the GIL.
#pragma once

#include <Python.h>

#include "core/chunk.h"
#include "core/exchange.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

/// A Python socket that owns the descriptor, and calls `hold` of `upgrade` when it is first used;
/// null with a Python error set.
PyRef make_application_socket(UniqueFd descriptor, const ConnectionInfo& peer, PyObject* upgrade);

/// Adds what there is to the environ: `socket` may be null. False with a Python error set.
bool offer_upgrade(PyObject* environ, PyObject* upgrade, PyObject* socket);

/// Adds the names under which a request's WebSocket is to be had. False with a Python error set.
bool offer_websocket(PyObject* environ, PyObject* upgrade);

/// Runs the WebSocket that ws4py has left in the environ, to its end; ws4py wants that of a server
/// whose `ws4py.socket` it was given. Nothing if there is none. False with a Python error set.
bool run_ws4py(PyObject* environ);

}  // namespace prowingen::wsgi
