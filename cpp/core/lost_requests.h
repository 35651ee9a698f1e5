// Says in the error log that requests were lost to a shortage, and how many, without filling it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "core/engine.h"

namespace prowingen {

class LostRequests {
 public:
  using Clock = std::chrono::steady_clock;
  using Report = std::function<void(Severity, std::string)>;
  /// At most one line in this time; the next one counts what came meanwhile.
  static constexpr std::chrono::seconds interval{10};

  /// `why`: what is said behind their number.
  LostRequests(std::string why, Report report) : why_(std::move(why)), report_(std::move(report)) {}

  /// Any thread.
  void add(std::uint64_t count, Clock::time_point now = Clock::now()) {
    std::uint64_t said = 0;
    {
      const std::lock_guard lock(mutex_);
      unsaid_ += count;
      if (now < next_) return;
      next_ = now + interval;
      said = std::exchange(unsaid_, 0);
    }
    report_(Severity::warning, std::to_string(said) + why_);
  }

 private:
  const std::string why_;
  const Report report_;
  std::mutex mutex_;
  std::uint64_t unsaid_ = 0;
  Clock::time_point next_;
};

}  // namespace prowingen
