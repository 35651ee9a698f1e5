// All figures that are told, each with its name, its kind and what it means; docs/metrics.md has
// the same in a table. They are of the whole server, but for those of one process, which have a
// label that says which.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "metrics/text.h"
#include "processes/scoreboard.h"
#include "processes/tally.h"

namespace prowingen::metrics {

/// A server at one time.
struct Picture {
  std::string_view engine;
  std::uint64_t wanted = 1;  // processes
  Tally::Sum sum{};          // what all have counted
  struct Worker {
    std::size_t place;  // of its slot
    const Scoreboard::Slot* slot;
  };
  std::vector<Worker> workers;  // the processes that there are
  std::vector<std::vector<Activity::Row>>
      doing{};  // what each of them does, for who asked for that
};

void write(Writer& writer, const Picture& picture);
std::string render(Form form, const Picture& picture);

}  // namespace prowingen::metrics
