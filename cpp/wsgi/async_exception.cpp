#include "wsgi/async_exception.h"

#include <Python.h>

#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

// PyThreadState_SetAsyncExc() could take it back. But up to Python 3.12 it has all threads of the
// interpreter look whether one has an exception coming, and they do until one is raised, so for
// ever then: each of them is slower, and one that is traced never gets past the beginning of a
// function (3.11). So it is raised, where it does no harm.
void forget_async_exception() {
  if (PyThreadState_Get()->async_exc == nullptr) return;
  const auto globals = PyRef::steal(PyDict_New());
  if (globals) PyRef::steal(PyRun_String("None", Py_eval_input, globals.get(), globals.get()));
  PyErr_Clear();
}

}  // namespace prowingen::wsgi
