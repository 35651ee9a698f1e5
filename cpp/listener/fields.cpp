#include "listener/fields.h"

namespace prowingen::listener {

bool text_of(PyObject* object, const char* what, std::string_view& out) {
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s: must be str, not %.100s", what, Py_TYPE(object)->tp_name);
    return false;
  }
#if PY_VERSION_HEX < 0x030C0000
  if (PyUnicode_READY(object) < 0) return false;
#endif
  if (wsgi::latin1_bytes(object, out)) return true;
  PyErr_Format(PyExc_ValueError, "%s: %R has a character that is not in latin-1", what, object);
  return false;
}

}  // namespace prowingen::listener
