// Native threads must not receive the process's signals: Python handles them in its main thread,
// and a signal delivered elsewhere would leave that thread asleep. And no thread, Python's own
// included, is to get one for a client that has left.
#pragma once

#include <csignal>
#include <ctime>
#include <initializer_list>

namespace prowingen {

class BlockedSignals {
 public:
  BlockedSignals() {
    // Without ::, since these two are macros on macOS.
    sigset_t all;
    sigfillset(&all);
    // Faults of this thread's own making stay visible.
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) {
      sigdelset(&all, fault);
    }
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

#if defined(__linux__)
/// While sendfile(2) writes, which knows no MSG_NOSIGNAL: its SIGPIPE, which an application may
/// have set to end the process, is taken back.
class TakenBackPipeSignal {
 public:
  TakenBackPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~TakenBackPipeSignal() {
    constexpr timespec at_once{};
    if (may_be_raised_ && !was_pending_) ::sigtimedwait(&pipe_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  TakenBackPipeSignal(const TakenBackPipeSignal&) = delete;
  TakenBackPipeSignal& operator=(const TakenBackPipeSignal&) = delete;

  /// Nothing more needs to be looked at. Else it may have been raised, also where some was written.
  void note_success() { may_be_raised_ = false; }

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
  bool may_be_raised_ = true;
};
#endif

}  // namespace prowingen
