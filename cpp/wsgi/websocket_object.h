// A WebSocket as Python has it. With the GIL; what can wait gives it up.
#pragma once

#include <Python.h>

#include <memory>

#include "websocket/session.h"
#include "wsgi/drop_list.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

/// Adds the type to the module. False with a Python error set.
bool init_websocket_type(PyObject* module);

/// `server`: kept alive for as long as it is. Null with a Python error set.
PyRef make_websocket(std::shared_ptr<websocket::Session> session, const std::string& subprotocol,
                     PyRef server, DropList& drop_list);

/// A message as str or bytes. Null with a Python error set.
PyRef message_object(const websocket::Message& message);

/// A str; what is not UTF-8 in it is replaced. Null with a Python error set.
PyRef utf8_text(const std::string& text);

/// broadcast(websockets, data, /): see _native.pyi.
PyObject* broadcast(PyObject* module, PyObject* args);

}  // namespace prowingen::wsgi
