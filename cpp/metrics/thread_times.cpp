#include "metrics/thread_times.h"

#include <pthread.h>
#include <sys/resource.h>

#ifdef __APPLE__
#include <mach/mach.h>
#endif

namespace prowingen::metrics {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t microsecond = 1'000;

std::uint64_t nanoseconds_of(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * second +
         static_cast<std::uint64_t>(time.tv_usec) * microsecond;
}

}  // namespace

#ifdef __APPLE__

ThreadTimes::Clock ThreadTimes::own_clock() { return pthread_mach_thread_np(pthread_self()); }

std::uint64_t ThreadTimes::read(Clock clock) {
  thread_basic_info_data_t info{};
  mach_msg_type_number_t size = THREAD_BASIC_INFO_COUNT;
  auto* const into = reinterpret_cast<thread_info_t>(&info);
  if (::thread_info(clock, THREAD_BASIC_INFO, into, &size) != KERN_SUCCESS) return 0;
  const auto part = [](const time_value_t& time) {
    return static_cast<std::uint64_t>(time.seconds) * second +
           static_cast<std::uint64_t>(time.microseconds) * microsecond;
  };
  return part(info.user_time) + part(info.system_time);
}

#else

ThreadTimes::Clock ThreadTimes::own_clock() {
  Clock clock{};
  return ::pthread_getcpuclockid(::pthread_self(), &clock) == 0 ? clock : CLOCK_THREAD_CPUTIME_ID;
}

std::uint64_t ThreadTimes::read(Clock clock) {
  timespec time{};
  if (::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<std::uint64_t>(time.tv_sec) * second +
         static_cast<std::uint64_t>(time.tv_nsec);
}

#endif

ThreadTimes::Member::Member(ThreadTimes& times) : times_(times) {
  const std::lock_guard lock(times_.mutex_);
  place_ = times_.clocks_.insert(times_.clocks_.end(), own_clock());
}

ThreadTimes::Member::~Member() {
  const std::lock_guard lock(times_.mutex_);
  times_.ended_ += read(*place_);
  times_.clocks_.erase(place_);
}

std::uint64_t ThreadTimes::total() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t total = ended_;
  for (const Clock clock : clocks_) total += read(clock);
  return total;
}

ProcessTimes process_times() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {nanoseconds_of(usage.ru_utime), nanoseconds_of(usage.ru_stime)};
}

}  // namespace prowingen::metrics
