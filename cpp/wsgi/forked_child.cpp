#include "wsgi/forked_child.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "wsgi/adapter.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {
namespace {

constexpr int mistake = 1;

std::string text_of(PyObject* object) {
  const PyRef text = PyRef::steal(object == nullptr ? nullptr : PyObject_Str(object));
  Py_ssize_t size = 0;
  const char* bytes = text ? PyUnicode_AsUTF8AndSize(text.get(), &size) : nullptr;
  if (bytes == nullptr) {
    PyErr_Clear();
    return {};
  }
  std::string line(bytes, static_cast<std::size_t>(size));
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < ' ' || c == 0x7F; }, ' ');
  return line;
}

// What Python makes of SystemExit.code.
int exit_code(PyObject* exit) {
  const PyRef code = PyRef::steal(PyObject_GetAttrString(exit, "code"));
  if (!code) {
    PyErr_Clear();
    return mistake;
  }
  if (code.get() == Py_None) return 0;
  if (!PyLong_Check(code.get())) return mistake;
  const long number = PyLong_AsLong(code.get());
  if (PyErr_Occurred() == nullptr) return static_cast<int>(number);
  PyErr_Clear();
  return mistake;
}

}  // namespace

void leave_child(const Exchange& exchange) {
  std::string how = "came back from it";
  int code = mistake;
  if (PyErr_Occurred() != nullptr) {
    PyObject* type;
    PyObject* value;
    PyObject* traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    how += std::string(" by ") + reinterpret_cast<PyTypeObject*>(type)->tp_name;
    if (const auto text = text_of(value); !text.empty()) how += " (" + text + ")";
    if (PyErr_GivenExceptionMatches(type, PyExc_SystemExit) != 0) code = exit_code(value);
  }
  // Not through logging, whose handlers and files are the parent's; and without the time of day,
  // for which the C library takes a lock.
  const std::string line =
      "[" + std::to_string(::getpid()) + "] WARNING " + request_line(exchange) +
      ": a child process that the application forked " + how + "; it ends with code " +
      std::to_string(code & 0xFF) + " (it should call os._exit when it is done)\n";
  static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
  ::_exit(code);
}

}  // namespace prowingen::wsgi
