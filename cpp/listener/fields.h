// Header fields as a Python object with a dict's manners: `headers["Accept"]`, names in any case.
// One set of functions for those of a request, which are read, and those of a response, which are
// set. With the GIL.
#pragma once

#include <Python.h>

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"

namespace prowingen::listener {

using wsgi::PyRef;

/// The bytes of a `str` in latin-1; false with an error that begins with `what` set.
bool text_of(PyObject* object, const char* what, std::string_view& out);

/// Read access for a type whose objects have a `Source`: size(), name(i), value(i), and
/// `static of(PyObject*)`.
template <class Source>
struct FieldReader {
  static Py_ssize_t length(PyObject* self) {
    return static_cast<Py_ssize_t>(Source::of(self).size());
  }

  /// All values of a name with commas between them (RFC 9110 section 5.3), Cookie's with
  /// semicolons (RFC 6265 section 5.4); null without an error set if there is none.
  static PyRef find(PyObject* self, std::string_view name) {
    const auto& source = Source::of(self);
    std::optional<std::string> joined;
    std::string_view first;
    bool found = false;
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (!equals_ignoring_case(source.name(i), name)) continue;
      if (!found) {
        first = source.value(i);
      } else {
        if (!joined) joined = first;
        joined->append(equals_ignoring_case(name, "cookie") ? "; " : ", ").append(source.value(i));
      }
      found = true;
    }
    return found ? PyRef::steal(wsgi::latin1(joined ? *joined : first)) : PyRef();
  }

  static PyObject* subscript(PyObject* self, PyObject* key) {
    std::string_view name;
    if (!text_of(key, "header name", name)) return nullptr;
    PyRef value = find(self, name);
    if (!value && !PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, key);
    return value.release();
  }

  static int contains(PyObject* self, PyObject* key) {
    std::string_view name;
    if (!text_of(key, "header name", name)) return -1;
    const auto& source = Source::of(self);
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (equals_ignoring_case(source.name(i), name)) return 1;
    }
    return 0;
  }

  static PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    std::string_view name;
    if (count < 1 || count > 2) {
      PyErr_SetString(PyExc_TypeError, "get() takes a name and a default");
      return nullptr;
    }
    if (!text_of(args[0], "header name", name)) return nullptr;
    PyRef value = find(self, name);
    if (value || PyErr_Occurred()) return value.release();
    return Py_NewRef(count == 2 ? args[1] : Py_None);
  }

  static PyObject* get_all(PyObject* self, PyObject* key) {
    std::string_view name;
    if (!text_of(key, "header name", name)) return nullptr;
    return list(self, [&](const auto& source, std::size_t i) {
      return equals_ignoring_case(source.name(i), name) ? wsgi::latin1(source.value(i)) : nullptr;
    });
  }

  static PyObject* items(PyObject* self, PyObject*) {
    return list(self, [](const auto& source, std::size_t i) {
      const PyRef name = PyRef::steal(wsgi::latin1(source.name(i)));
      const PyRef value = PyRef::steal(wsgi::latin1(source.value(i)));
      return name && value ? PyTuple_Pack(2, name.get(), value.get()) : nullptr;
    });
  }

  static PyObject* iterate(PyObject* self) {
    const PyRef names = PyRef::steal(
        list(self, [](const auto& source, std::size_t i) { return wsgi::latin1(source.name(i)); }));
    return names ? PyObject_GetIter(names.get()) : nullptr;
  }

  static PyObject* repr(PyObject* self) {
    const PyRef pairs = PyRef::steal(items(self, nullptr));
    return pairs ? PyUnicode_FromFormat("<%s %R>", Py_TYPE(self)->tp_name, pairs.get()) : nullptr;
  }

 private:
  /// What `make(source, i)` returns for each field; null without an error set leaves it out.
  template <class Make>
  static PyObject* list(PyObject* self, Make make) {
    PyRef made = PyRef::steal(PyList_New(0));
    const auto& source = Source::of(self);
    for (std::size_t i = 0; made && i < source.size(); ++i) {
      const PyRef item = PyRef::steal(make(source, i));
      if (item ? PyList_Append(made.get(), item.get()) < 0 : PyErr_Occurred() != nullptr) {
        return nullptr;
      }
    }
    return made.release();
  }
};

/// A function as the method tables of the C API want it.
template <class Function>
PyCFunction method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

}  // namespace prowingen::listener
