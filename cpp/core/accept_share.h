// Which of several processes takes the next connection.
//
// Workers share their listening sockets, and the kernel wakes them all: whoever is first takes all
// that have come, and keeps them for as long as clients keep them alive. With an application that
// computes, one process would then have all the work and the others none. So a process that has
// more connections than another, by more than a little, lets the others go first for a moment.
#pragma once

#include <chrono>
#include <cstddef>

#include "core/scoreboard.h"

namespace prowingen {

/// One process's view.
class AcceptShare {
 public:
  /// For how long the others go first: time enough to wake up and to accept.
  static constexpr std::chrono::milliseconds turn{1};

  AcceptShare(Scoreboard& scoreboard, std::size_t own)
      : scoreboard_(scoreboard), own_(scoreboard.slot(own)) {}

  /// Tells the others that this process takes connections, or no more. Any thread.
  void accepts(bool on) { own_.set(Score::accepting, on ? 1 : 0); }

  /// This process has so many connections: should it leave the next one to another? Never twice in
  /// a row, so that connections are taken whatever the others do. One thread.
  bool others_first(std::size_t open);

 private:
  bool another_has_fewer(std::size_t open) const;

  Scoreboard& scoreboard_;
  Scoreboard::Slot& own_;
  bool gave_way_ = false;
};

}  // namespace prowingen
