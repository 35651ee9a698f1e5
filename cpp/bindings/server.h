// prowingen_wsgi._native.Server: one engine, one work queue, one application.
#pragma once

#include <pybind11/pybind11.h>

namespace prowingen::bindings {

void bind_engines(pybind11::module_& m);
void bind_scoreboard(pybind11::module_& m);
void bind_server(pybind11::module_& m);

}  // namespace prowingen::bindings
