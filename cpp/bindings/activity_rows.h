// What worker threads are in, as Python has it: a tuple for each.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <span>
#include <string>

#include "processes/activity.h"

namespace prowingen::bindings {

/// (thread, state, client, request line, seconds so far, seconds that are left to it or None).
/// Octets beyond ASCII, which no request that is taken has, are characters of Latin-1.
inline pybind11::list activity_rows(std::span<const Activity::Row> rows, Activity::Time now) {
  namespace py = pybind11;
  const auto text = [](std::string_view octets) {
    return py::reinterpret_steal<py::str>(
        PyUnicode_DecodeLatin1(octets.data(), static_cast<py::ssize_t>(octets.size()), nullptr));
  };
  const auto seconds = [](Activity::Time::duration time) {
    return std::chrono::duration<double>(time).count();
  };
  py::list told;
  for (const Activity::Row& row : rows) {
    const auto left = row.deadline ? py::object(py::float_(seconds(*row.deadline - now)))
                                   : py::object(py::none());
    told.append(
        py::make_tuple(row.thread, text(worker_state_names[static_cast<std::size_t>(row.state)]),
                       text(row.client), text(row.request), seconds(now - row.since), left));
  }
  return told;
}

}  // namespace prowingen::bindings
