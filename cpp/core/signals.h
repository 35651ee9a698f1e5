// Native threads must not receive the process's signals: Python handles them in its main thread,
// and a signal delivered elsewhere would leave that thread asleep.
#pragma once

#include <csignal>
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

}  // namespace prowingen
