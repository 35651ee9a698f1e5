#include "bindings/python_log.h"

#include <cstddef>

#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"

namespace prowingen::bindings {
namespace py = pybind11;
namespace {

// The Python error that is set, as an exception; None without one. None is set any more.
py::object take_error() {
  if (PyErr_Occurred() == nullptr) return py::none();
  PyObject* type;
  PyObject* value;
  PyObject* traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return py::reinterpret_steal<py::object>(value);
}

}  // namespace

void PythonLog::pass_on(const std::deque<LogChannel::Event>& events) const {
  for (const auto& event : events) {
    if (event.call) {
      event.call();
    } else if (!event.access_lines) {
      // It may have a file's name, which may be anything.
      const auto text = py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
          event.text.data(), static_cast<Py_ssize_t>(event.text.size()), "backslashreplace"));
      if (!text) throw py::error_already_set();
      errors_(static_cast<int>(event.severity), text, py::none());
    } else {
      for (std::size_t at = 0; at < event.text.size();) {
        const auto end = event.text.find('\n', at);
        access_(event.text.substr(at, end - at));
        at = end + 1;
      }
    }
  }
}

void PythonLog::tell(Severity severity, const std::string& message) const {
  const py::object exception = take_error();
  const auto text = wsgi::PyRef::steal(wsgi::latin1(message));
  const auto done =
      text ? wsgi::PyRef::steal(PyObject_CallFunction(
                 errors_.ptr(), "iOO", static_cast<int>(severity), text.get(), exception.ptr()))
           : wsgi::PyRef();
  if (!done) PyErr_WriteUnraisable(errors_.ptr());  // a logging handler that raises
}

}  // namespace prowingen::bindings
