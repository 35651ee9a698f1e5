// The Python callables that what is logged goes to. With the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <deque>
#include <string>
#include <string_view>

#include "core/engine.h"
#include "core/log_channel.h"

namespace prowingen::bindings {

class PythonLog {
 public:
  /// `errors(severity, message, exception)`; `access(line)`, or None.
  PythonLog(pybind11::object errors, pybind11::object access)
      : errors_(std::move(errors)), access_(std::move(access)) {}

  bool takes_access() const { return !access_.is_none(); }
  /// What the native threads have said. Raises what a callable raises.
  void pass_on(const std::deque<LogChannel::Event>& events) const;
  /// On a worker thread; the Python error that is set becomes the event's exception. A callable
  /// that raises is told of as Python tells of what cannot be raised.
  void tell(Severity severity, const std::string& message) const;

 private:
  const pybind11::object errors_;
  const pybind11::object access_;
};

}  // namespace prowingen::bindings
