#include "processes/scoreboard.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bindings/activity_rows.h"
#include "bindings/server.h"
#include "limits/rate_table.h"
#include "processes/datagram_steering.h"

namespace prowingen::bindings {
namespace py = pybind11;

void bind_scoreboard(py::module_& m) {
  py::class_<Scoreboard>(m, "Scoreboard", py::is_final(),
                         "Figures of the processes of a server, in memory that forks share.")
      .def(py::init<std::size_t>(), py::arg("slots"), "Raises OSError without memory.")
      .def("__len__", &Scoreboard::size)
      .def(
          "read",
          [](Scoreboard& scoreboard, std::size_t index) {
            const auto& slot = scoreboard.slot(index);
            py::dict scores;
            for (std::size_t i = 0; i < score_names.size(); ++i) {
              scores[py::str(score_names[i].data(), score_names[i].size())] =
                  slot.get(static_cast<Score>(i));
            }
            return scores;
          },
          py::arg("slot"), "The figures of a slot; all 0 before a process uses it.")
      .def("begin_drain", &Scoreboard::begin_drain,
           "All processes are about to stop: none is ready from now on.")
      .def("withdraw", &Scoreboard::withdraw, py::arg("withdrawn"),
           "None of all processes is ready from now on, or each is if it is by itself.")
      .def("set_wanted", &Scoreboard::set_wanted, py::arg("count"),
           "So many processes are to serve, for metrics.")
      .def(
          "count_end",
          [](Scoreboard& scoreboard, const std::string& cause) {
            const auto known = std::ranges::find(worker_ends, cause);
            if (known == worker_ends.end()) throw py::value_error("no such cause: " + cause);
            scoreboard.tally().of_workers().add(
                cells::ends_at + static_cast<std::size_t>(known - worker_ends.begin()));
          },
          py::arg("cause"), "Counts a process that has ended, for metrics.")
      .def(
          "watch",
          [](Scoreboard& scoreboard) {
            scoreboard.activity().watch(std::chrono::steady_clock::now());
          },
          "For a second from now on, processes write what their worker threads are in.")
      .def(
          "doing",
          [](Scoreboard& scoreboard, std::size_t index, std::int64_t since) -> py::object {
            scoreboard.slot(index);  // which throws if there is none
            const Activity& activity = scoreboard.activity();
            if (!activity.is_written_since(index, Activity::Time(std::chrono::nanoseconds(since))))
              return py::none();
            const auto now = std::chrono::steady_clock::now();
            return activity_rows(activity.rows(index, now), now);
          },
          py::arg("slot"), py::arg("since_ns"),
          "What the threads of a slot's process are in; None: it has not been written since then.")
      .def("clear", &Scoreboard::clear, py::arg("slot"),
           "Makes a slot's figures 0, for the next process.");
  py::class_<limits::RateTable>(
      m, "RateTable", py::is_final(),
      "How often each client has asked, in memory that forks share: see rate_limit.")
      .def(py::init([] { return std::make_unique<limits::RateTable>(); }),
           "Raises OSError without memory.");
  m.def(
      "steer_datagrams",
      [](int socket, const std::vector<std::uint16_t>& take_new) {
        datagrams::steer(socket, take_new);
      },
      py::arg("socket"), py::arg("take_new"),
      "Has sockets of one UDP port given what is theirs. Raises OSError.");
}

}  // namespace prowingen::bindings
