// How much CPU time a process's worker threads have had, those that have ended included: their
// clocks are read when somebody asks, so that no request pays for it.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>

#ifdef __APPLE__
#include <mach/mach_types.h>
#else
#include <ctime>
#endif

namespace prowingen::metrics {

class ThreadTimes {
#ifdef __APPLE__
  using Clock = thread_act_t;
#else
  using Clock = clockid_t;
#endif
  using Clocks = std::list<Clock>;

 public:
  /// The thread that it is made in is one of them, for as long as this lives.
  class Member {
   public:
    explicit Member(ThreadTimes& times);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    ThreadTimes& times_;
    Clocks::iterator place_;
  };

  /// In nanoseconds; it never decreases. Any thread.
  std::uint64_t total() const;

 private:
  static Clock own_clock();
  static std::uint64_t read(Clock clock);

  mutable std::mutex mutex_;  // guards what follows
  Clocks clocks_;
  std::uint64_t ended_ = 0;  // of threads that have
};

/// Of the whole process, in nanoseconds.
struct ProcessTimes {
  std::uint64_t user = 0;
  std::uint64_t system = 0;
};
ProcessTimes process_times();

}  // namespace prowingen::metrics
