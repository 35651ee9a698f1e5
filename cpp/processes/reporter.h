// A thread of a supervised process: writes the process's figures into its slot of the scoreboard,
// and sees to it that the process does not outlive its supervisor. It never waits for Python, so
// that a process whose Python is stuck still tells so, and still ends.
//
//   supervised --the lifeline's other end closes--> orphaned: SIGTERM to the own process,
//                                                   then, after `grace`, _exit
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "core/chunk.h"
#include "processes/scoreboard.h"

namespace prowingen {

/// Writes what this process is, and that it is there now, into its slot.
void tell_alive(Scoreboard::Slot& slot);

class Reporter {
 public:
  /// Fills in what it knows of the process; called without any lock.
  using Collect = std::function<void(Scoreboard::Slot&)>;

  /// `lifeline`: the reading end of a pipe whose other end the supervisor alone has.
  Reporter(Scoreboard::Slot& slot, UniqueFd lifeline, std::chrono::milliseconds grace,
           Collect collect);
  ~Reporter();

 private:
  void run();
  void publish();
  bool supervisor_is_gone() const;

  Scoreboard::Slot& slot_;
  const UniqueFd lifeline_;
  const std::chrono::milliseconds grace_;
  const Collect collect_;
  std::mutex mutex_;  // guards stopped_
  std::condition_variable stopping_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace prowingen
