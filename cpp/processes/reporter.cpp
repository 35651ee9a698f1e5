#include "processes/reporter.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>

#include "core/signals.h"
#include "processes/process_memory.h"

namespace prowingen {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds interval{100};
constexpr int orphan_exit_code = 1;

}  // namespace

void tell_alive(Scoreboard::Slot& slot) {
  slot.set(Score::pid, static_cast<std::uint64_t>(::getpid()));
  slot.set(Score::rss_bytes, resident_bytes());
  const std::chrono::nanoseconds now = steady_clock::now().time_since_epoch();
  slot.set(Score::heartbeat_ns, static_cast<std::uint64_t>(now.count()));
}

Reporter::Reporter(Scoreboard::Slot& slot, UniqueFd lifeline, std::chrono::milliseconds grace,
                   Collect collect)
    : slot_(slot),
      lifeline_(std::move(lifeline)),
      grace_(grace),
      collect_(std::move(collect)),
      thread_([this] { run(); }) {}

Reporter::~Reporter() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stopping_.notify_one();
  thread_.join();
}

void Reporter::run() {
  const BlockedSignals no_signals;
  std::unique_lock lock(mutex_);
  steady_clock::time_point end = steady_clock::time_point::max();
  while (!stopped_) {
    lock.unlock();
    publish();
    const auto now = steady_clock::now();
    if (end == steady_clock::time_point::max() && supervisor_is_gone()) {
      end = now + grace_;
      ::kill(::getpid(), SIGTERM);  // as if the supervisor had said so: requests may finish
    }
    if (now >= end) ::_exit(orphan_exit_code);
    lock.lock();
    stopping_.wait_for(lock, interval, [this] { return stopped_; });
  }
}

void Reporter::publish() {
  collect_(slot_);
  tell_alive(slot_);
}

bool Reporter::supervisor_is_gone() const {
  pollfd poll{lifeline_.get(), POLLIN, 0};
  // Nobody ever writes: readable means that there is nobody left who could.
  return lifeline_ && ::poll(&poll, 1, 0) == 1;
}

}  // namespace prowingen
