// Which of several processes takes the next connection.
//
// Workers share their listening sockets, and the kernel wakes them all: whoever is first takes all
// that have come, and keeps them for as long as clients keep them alive. With an application that
// computes, one process would then have all the work and the others none. So a process that has
// more connections than another, by more than a little, lets the others go first for a moment.
//
// One whose threads are all stuck in the application leaves new connections to the others for as
// long as one of them is well: with it they would wait until a thread is free.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

#include "processes/scoreboard.h"

namespace prowingen {

/// One process's view.
class AcceptShare {
 public:
  AcceptShare(Scoreboard& scoreboard, std::size_t own)
      : scoreboard_(scoreboard), own_(scoreboard.slot(own)) {}

  /// Tells the others that this process takes connections, or no more. Any thread.
  void accepts(bool on) { own_.set(Score::accepting, on ? 1 : 0); }

  /// This process has so many connections: for how long should it leave the next one to others,
  /// before it asks again? 0: it takes it. If it is not stuck, never twice in a row, so that
  /// connections are taken whatever the others do. One thread.
  std::chrono::milliseconds others_first(std::size_t open);

 private:
  /// Whether another process takes connections, is well, and has so many that this holds.
  bool another(const std::function<bool(std::size_t connections)>& holds) const;

  Scoreboard& scoreboard_;
  Scoreboard::Slot& own_;
  bool gave_way_ = false;
};

}  // namespace prowingen
