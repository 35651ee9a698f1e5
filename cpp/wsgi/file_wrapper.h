// wsgi.file_wrapper (PEP 3333 "Optional Platform-Specific File Handling").
#pragma once

#include <Python.h>

#include <optional>

#include "core/chunk.h"

namespace prowingen::wsgi {

PyTypeObject* make_file_wrapper_type();

bool is_file_wrapper(PyObject* object);

/// The rest of the wrapped file from its current position, if its descriptor has just the bytes
/// that its read() would return; nothing if it must be read instead. Never leaves a Python error
/// set.
std::optional<FileRange> file_range(PyObject* file_wrapper);

}  // namespace prowingen::wsgi
