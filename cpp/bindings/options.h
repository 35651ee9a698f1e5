// The options of a server, out of a dict of Python's.
#pragma once

#include <pybind11/pybind11.h>

#include "core/options.h"

namespace prowingen::bindings {

/// Throws pybind11::value_error for one that is unknown or of another type.
Options read_options(const pybind11::dict& values);

}  // namespace prowingen::bindings
