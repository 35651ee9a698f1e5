#include "wsgi/field_list.h"

namespace prowingen::wsgi {

bool text_of(const char* caller, PyObject* object, const char* what, std::string_view& out) {
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s: %s must be str, not %.100s", caller, what,
                 Py_TYPE(object)->tp_name);
    return false;
  }
#if PY_VERSION_HEX < 0x030C0000
  if (PyUnicode_READY(object) < 0) return false;
#endif
  if (latin1_bytes(object, out)) return true;
  PyErr_Format(PyExc_ValueError, "%s: %s %R has a character that is not in latin-1 (PEP 3333)",
               caller, what, object);
  return false;
}

bool field_of(const char* caller, PyObject* item, std::string_view& name, std::string_view& value) {
  if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
    PyErr_Format(PyExc_TypeError, "%s: each header must be a (name, value) tuple: %R", caller,
                 item);
    return false;
  }
  return text_of(caller, PyTuple_GET_ITEM(item, 0), "header name", name) &&
         text_of(caller, PyTuple_GET_ITEM(item, 1), "header value", value);
}

}  // namespace prowingen::wsgi
