// What a process has of its supervisor: a row of the scoreboard, which says what it does; a pipe,
// by which it says that it is ready, or has served enough; and a lifeline, at whose end it leaves.
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/chunk.h"
#include "processes/accept_share.h"
#include "processes/reporter.h"
#include "processes/scoreboard.h"

namespace prowingen::bindings {

class Supervised {
 public:
  struct Terms {
    int status_pipe = -1;
    bool tells_ready = false;
    std::uint64_t max_requests = 0;  // 0: no limit
    std::chrono::milliseconds grace{};
  };

  /// `scoreboard` outlives it.
  Supervised(Scoreboard& scoreboard, std::size_t slot, UniqueFd lifeline, const Terms& terms)
      : scoreboard_(scoreboard),
        slot_(scoreboard.slot(slot)),
        accept_share_(scoreboard, slot),
        lifeline_(std::move(lifeline)),
        terms_(terms) {}

  AcceptShare& accept_share() { return accept_share_; }
  Scoreboard& scoreboard() const { return scoreboard_; }
  Scoreboard::Slot& slot() const { return slot_; }
  /// Of the certificates of its workers a supervisor warns, and gunicorn's arbiter, which is told
  /// nothing, does not.
  bool is_warned_for() const { return terms_.tells_ready; }

  /// The engine has started: from now on its figures are published, until end().
  void begin(Reporter::Collect publish) {
    reporter_ =
        std::make_unique<Reporter>(slot_, std::move(lifeline_), terms_.grace, std::move(publish));
    accept_share_.accepts(true);
  }
  /// False: nobody counts on it.
  bool tell_ready() const { return !terms_.tells_ready || tell('R'); }
  /// Tells the supervisor, once, that it may replace this process.
  void count_request() {
    if (terms_.max_requests == 0) return;
    if (++requests_ < terms_.max_requests || limit_told_.exchange(true)) return;
    tell('L');  // if it is gone, the lifeline sees to that
  }
  /// Tells it, once, that so many of its threads are stuck that it should be replaced.
  void tell_stuck() {
    if (!stuck_told_.exchange(true)) tell('S');
  }
  void begin_drain() { accept_share_.accepts(false); }
  /// What its figures are of is about to end.
  void end() { reporter_.reset(); }
  /// In a forked child, where its thread is not.
  void abandon() { static_cast<void>(reporter_.release()); }

 private:
  bool tell(char what) const { return ::write(terms_.status_pipe, &what, 1) == 1; }

  Scoreboard& scoreboard_;
  Scoreboard::Slot& slot_;
  AcceptShare accept_share_;
  UniqueFd lifeline_;
  const Terms terms_;
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<bool> limit_told_{false};
  std::atomic<bool> stuck_told_{false};
  std::unique_ptr<Reporter> reporter_;  // null: it has not begun
};

}  // namespace prowingen::bindings
