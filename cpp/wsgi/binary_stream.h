// What makes a stream a file to Python's own library, which asks before it reads or writes: may it,
// where is it, which descriptor has it? A body goes one way, cannot be sought and has no
// descriptor, and says so in io's words: io.TextIOWrapper, zipfile, csv, pickle and shutil then do
// what they do with a pipe. The types are registered with io.BufferedIOBase and not derived from
// it, which would cost each request a dictionary, the garbage collector's work and a finalizer.
// With the GIL.
#pragma once

#include <Python.h>

#include <algorithm>
#include <cstddef>

namespace prowingen::wsgi {

/// Raises io.UnsupportedOperation, as io's classes do for what they cannot; null.
PyObject* raise_unsupported(const char* method);

/// Has `isinstance(stream, io.BufferedIOBase)` hold. False with a Python error set.
bool register_binary_stream(PyTypeObject* type);

/// A literal as a template's argument.
template <std::size_t size>
struct Literal {
  constexpr Literal(const char (&literal)[size]) {  // NOLINT: a literal is to become one
    std::copy_n(literal, size, text);
  }
  char text[size]{};  // NOLINT(*-avoid-c-arrays)
};

/// An entry of a type's methods: one that every file has, and that this stream cannot.
template <Literal name>
inline constexpr PyMethodDef unsupported = {
    name.text,
    [](PyObject*, PyObject*) -> PyObject* { return raise_unsupported(name.text); },
    METH_VARARGS,
    "Raises io.UnsupportedOperation.",
};

/// Methods that read nothing and write nothing. `check_open`: false with a ValueError set if the
/// stream is closed.
template <bool (*check_open)(PyObject* stream)>
struct StreamMethods {
  static PyObject* yes(PyObject* self, PyObject*) {
    return check_open(self) ? Py_NewRef(Py_True) : nullptr;
  }
  static PyObject* no(PyObject* self, PyObject*) {
    return check_open(self) ? Py_NewRef(Py_False) : nullptr;
  }
  static PyObject* none(PyObject* self, PyObject*) {
    return check_open(self) ? Py_NewRef(Py_None) : nullptr;
  }
  static PyObject* enter(PyObject* self, PyObject*) {
    return check_open(self) ? Py_NewRef(self) : nullptr;
  }
};

}  // namespace prowingen::wsgi
