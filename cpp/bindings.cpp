// The extension module prowingen_wsgi._native: a list of what it binds.
#include <pybind11/pybind11.h>

#include "bindings/server.h"
#include "bindings/tls.h"
#include "listener/handler.h"
#include "wsgi/runtime.h"

PYBIND11_MODULE(_native, m) {
  m.doc() = "prowingen_wsgi's native side: engines, work queue and WSGI adapter.";
  if (!prowingen::wsgi::init_runtime(m.ptr()) || !prowingen::listener::init_types(m.ptr())) {
    throw pybind11::error_already_set();
  }
  prowingen::bindings::bind_engines(m);
  prowingen::bindings::bind_scoreboard(m);
  prowingen::bindings::bind_tls(m);
  prowingen::bindings::bind_server(m);
}
