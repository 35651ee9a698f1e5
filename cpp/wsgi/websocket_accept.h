// accept_websocket(upgrade, ...): the opening handshake of a request is answered, and what follows
// is a WebSocket. What the application returns from its call is then no answer any more, so that it
// makes no difference what framework it is written with.
#pragma once

#include <Python.h>

#include "wsgi/opaque_upgrade.h"

namespace prowingen::wsgi {

/// Adds what the module has of it. False with a Python error set.
bool init_websocket_accept(PyObject* module);

/// The application's call is over, or failed. What was left to be called then, null if nothing was,
/// is called, and a WebSocket that was the call's own is closed. Leaves no Python error set.
void end_websocket(const Upgradable& call, PyObject* callback, bool failed);

}  // namespace prowingen::wsgi
