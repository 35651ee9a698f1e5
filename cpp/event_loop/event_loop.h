// One thread's loop over sockets, timers and wake-ups from other threads.
//
// Why not Boost.Asio, which this replaced: its waits for readiness need an epoll_ctl(2) each, one
// for every request, which with its locks came to a tenth of a hello world's CPU. A watch here is
// registered once; what is not wanted any more is taken back only when an event comes for it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "event_loop/poller.h"

namespace prowingen {

class ReadyHandler {
 public:
  /// What the descriptor is ready for, of what was wanted; after an error, all that was wanted.
  virtual void on_ready(Interest ready) = 0;
  /// After an error, of a descriptor that nothing was wanted for. It is not watched any more until
  /// something is.
  virtual void on_broken() {}

 protected:
  ~ReadyHandler() = default;
};

/// The loop's own thread only, except for wake().
class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;

  /// A descriptor in the loop. Remove it before the descriptor is closed.
  class Watch {
   public:
    Watch(EventLoop& loop, int descriptor, ReadyHandler& handler);
    ~Watch() { remove(); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// What events are wanted for from now on. False, with errno set: the system has no room.
    [[nodiscard]] bool want(Interest interest);
    Interest wanted() const { return wanted_; }
    void remove();

   private:
    friend class EventLoop;
    void on_event(const ReadyEvent& event);
    bool register_for(Interest interest);

    EventLoop& loop_;
    const int descriptor_;
    ReadyHandler& handler_;
    std::uint64_t key_;
    Interest wanted_ = Interest::none;
    Interest registered_ = Interest::none;
    bool in_poller_ = false;
    bool removed_ = false;
  };

  /// Calls back once when its time has come.
  class Timer {
   public:
    Timer(EventLoop& loop, std::function<void()> callback);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    void arm(Clock::time_point when) { when_ = when; }
    void cancel() { when_ = Clock::time_point::max(); }
    bool armed() const { return when_ != Clock::time_point::max(); }

   private:
    friend class EventLoop;
    EventLoop& loop_;
    std::function<void()> callback_;
    Clock::time_point when_ = Clock::time_point::max();
  };

  EventLoop() = default;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Waits for the next event, timer or wake-up, until then at most, and handles all there are.
  /// `wait` false: only those that are there.
  void turn(bool wait, std::optional<Clock::time_point> until = std::nullopt);
  /// When the last wait ended, or the clock was read since.
  Clock::time_point now() const { return now_; }
  void read_clock() { now_ = Clock::now(); }
  /// Takes note of the wake-ups so far. What a waker left before wake() is seen by whoever looks
  /// after this.
  void acknowledge_wakes() { woken_.exchange(false); }  // an exchange: it acquires too
  /// Ends the turn under way, or the next one. A system call only if the loop sleeps. Any thread.
  void wake();

 private:
  Clock::duration time_to_wait(std::optional<Clock::time_point> until) const;
  void run_timers();

  // A key is an index with the number of times that it was used, so that an event for a watch
  // that another event's handler removed finds nobody, or rather not its successor.
  struct Slot {
    Watch* watch = nullptr;
    std::uint32_t uses = 0;
  };

  Poller poller_;
  Clock::time_point now_ = Clock::now();
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<Timer*> timers_;  // a handful
  // Sequentially consistent: either the waker sees that the loop sleeps, or the loop that it was
  // woken.
  std::atomic<bool> asleep_{false};
  std::atomic<bool> woken_{false};
};

}  // namespace prowingen
