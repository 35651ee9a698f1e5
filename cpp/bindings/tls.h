// prowingen_wsgi._native's functions about certificates, and the context that a server's have.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "core/options.h"
#include "tls/context.h"

namespace prowingen::bindings {

/// Null without a certificate. Throws std::invalid_argument.
std::unique_ptr<tls::Context> make_tls(const Options& options);

void bind_tls(pybind11::module_& m);

}  // namespace prowingen::bindings
