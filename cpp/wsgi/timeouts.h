// How long a call may wait, as Python's sockets have it: None for ever, else seconds.
#pragma once

#include <Python.h>

#include <chrono>
#include <optional>

#include "core/exchange.h"

namespace prowingen::wsgi {

/// Not to wait.
inline constexpr SteadyTime at_once{};

class Timeout {
 public:
  using Duration = std::chrono::nanoseconds;

  /// For ever.
  Timeout() = default;
  explicit Timeout(Duration duration) : duration_(duration) {}

  /// None, or seconds that are not negative. False with a Python error set.
  bool parse(PyObject* given) {
    duration_.reset();
    if (given == Py_None) return true;
    const double seconds = PyFloat_AsDouble(given);
    if (seconds == -1 && PyErr_Occurred()) return false;
    if (!(seconds >= 0)) {
      PyErr_SetString(PyExc_ValueError, "Timeout value out of range");
      return false;
    }
    if (seconds < longest) {
      duration_ = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    }
    return true;
  }

  std::optional<Duration> duration() const { return duration_; }
  bool is_zero() const { return duration_ == Duration::zero(); }
  /// Nothing: for ever.
  std::optional<SteadyTime> deadline() const {
    if (!duration_) return std::nullopt;
    return std::chrono::steady_clock::now() + *duration_;
  }

 private:
  // More is for ever, and would overflow a clock.
  static constexpr double longest = 1e9;

  std::optional<Duration> duration_;
};

}  // namespace prowingen::wsgi
