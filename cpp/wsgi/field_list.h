// Header or trailer fields as an application gives them: (name, value) tuples of str with
// characters of latin-1 (PEP 3333 "The start_response() Callable"). With the GIL.
#pragma once

#include <Python.h>

#include <string>
#include <string_view>

#include "http/response_policy.h"
#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {

/// Raises `type` with what `caller` complains of; false.
inline bool complain(PyObject* type, const char* caller, const std::string& message) {
  const std::string text = std::string(caller) + ": " + message;
  const PyRef object = PyRef::steal(latin1(text));
  if (object) PyErr_SetObject(type, object.get());
  return false;
}

/// The bytes of a str. False with a Python error set that names `caller` and calls it `what`.
bool text_of(const char* caller, PyObject* object, const char* what, std::string_view& out);

/// The bytes of one field. False with a Python error set.
bool field_of(const char* caller, PyObject* item, std::string_view& name, std::string_view& value);

/// Calls `add(name, value)`, which returns a FieldFault or nothing, for each of a list or tuple.
/// False with a Python error set.
template <typename Add>
bool add_fields(const char* caller, PyObject* fields, Add add) {
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fields); ++i) {
    std::string_view name;
    std::string_view value;
    if (!field_of(caller, PySequence_Fast_GET_ITEM(fields, i), name, value)) return false;
    if (const auto fault = add(name, value)) {
      return complain(PyExc_ValueError, caller, describe(*fault, name, value));
    }
  }
  return true;
}

}  // namespace prowingen::wsgi
