#include "wsgi/binary_stream.h"

#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {

PyObject* raise_unsupported(const char* method) {
  PyErr_SetString(runtime().unsupported_operation, method);
  return nullptr;
}

bool register_binary_stream(PyTypeObject* type) {
  return static_cast<bool>(PyRef::steal(PyObject_CallMethod(
      runtime().buffered_io_base, "register", "O", reinterpret_cast<PyObject*>(type))));
}

}  // namespace prowingen::wsgi
