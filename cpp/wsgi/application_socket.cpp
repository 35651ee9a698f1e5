#include "wsgi/application_socket.h"

#include <charconv>
#include <string>
#include <string_view>

#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

constexpr const char* socket_names[] = {"werkzeug.socket", "gunicorn.socket", "ws4py.socket"};

// As socket.getpeername() has it.
PyRef address_of(std::string_view host, const std::string& port) {
  if (host.empty()) return PyRef::steal(latin1(""));  // of a Unix socket
  int number = 0;
  std::from_chars(port.data(), port.data() + port.size(), number);
  const char* const shape = host.find(':') == std::string_view::npos ? "(Ni)" : "(Niii)";
  return PyRef::steal(Py_BuildValue(shape, latin1(host), number, 0, 0));
}

}  // namespace

PyRef make_application_socket(UniqueFd descriptor, const ConnectionInfo& peer, PyObject* upgrade) {
  const PyRef module = PyRef::steal(PyImport_ImportModule("prowingen_wsgi.upgraded"));
  const PyRef remote = address_of(peer.remote_address, peer.remote_port);
  const PyRef local = address_of(peer.local_address, peer.local_port);
  if (!module || !remote || !local) return {};
  return PyRef::steal(PyObject_CallMethod(module.get(), "make_socket", "iOOO", descriptor.release(),
                                          remote.get(), local.get(),
                                          upgrade));  // which owns it in any case
}

bool offer_upgrade(PyObject* environ, PyObject* upgrade, PyObject* socket) {
  if (PyDict_SetItem(environ, runtime().opaque_upgrade, upgrade) < 0) return false;
  if (socket == nullptr) return true;
  for (const char* name : socket_names) {
    if (PyDict_SetItemString(environ, name, socket) < 0) return false;
  }
  return true;
}

bool offer_websocket(PyObject* environ, PyObject* upgrade) {
  const PyRef module = PyRef::steal(PyImport_ImportModule("prowingen_wsgi.websocket_dialects"));
  return module && PyRef::steal(PyObject_CallMethod(module.get(), "offer", "OO", environ, upgrade));
}

bool run_ws4py(PyObject* environ) {
  const PyRef websocket = PyRef::borrow(PyDict_GetItemString(environ, "ws4py.websocket"));
  if (!websocket || websocket.get() == Py_None) return true;
  for (const char* name : socket_names) {
    if (PyDict_DelItemString(environ, name) < 0) PyErr_Clear();
  }
  return static_cast<bool>(PyRef::steal(PyObject_CallMethod(websocket.get(), "run", nullptr)));
}

}  // namespace prowingen::wsgi
