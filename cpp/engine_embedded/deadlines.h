// Time limits of an I/O thread's connections.
//
// All deadlines of one kind have the same length, so the list of a kind is ordered by appending:
// arming and disarming are a few pointer writes, and a tick looks at expired ones only. A heap
// of timers would cost every request two logarithmic operations. I/O thread only.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace prowingen::embedded {

class Connection;

enum class Timeout : std::uint8_t {
  header,
  keep_alive,
  body,
  write,
  linger,
  drain,
  read_rate,  // a window of min_rate ends
  write_rate
};
inline constexpr std::size_t timeout_kinds = 8;

/// What is late.
struct TimeLimit {
  Timeout kind{};
  std::int32_t stream = 0;  // of HTTP/2; 0: the connection itself
};

struct Deadline {
  Deadline* previous = nullptr;
  Deadline* next = nullptr;
  std::chrono::steady_clock::time_point when;
  Timeout kind{};
  Connection* connection = nullptr;
  std::int32_t stream = 0;
  TimeLimit limit() const { return {kind, stream}; }
  bool armed() const { return next != nullptr; }
};

class Deadlines {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Deadlines(std::array<Clock::duration, timeout_kinds> lengths) : lengths_(lengths) {
    for (auto& list : lists_) list.previous = list.next = &list;
  }
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  void arm(Deadline& deadline, Timeout kind, Clock::time_point now) {
    disarm(deadline);
    Deadline& list = lists_[static_cast<std::size_t>(kind)];
    deadline.kind = kind;
    deadline.when = now + lengths_[static_cast<std::size_t>(kind)];
    deadline.previous = list.previous;
    deadline.next = &list;
    list.previous->next = &deadline;
    list.previous = &deadline;
  }

  void disarm(Deadline& deadline) {
    if (!deadline.armed()) return;
    deadline.previous->next = deadline.next;
    deadline.next->previous = deadline.previous;
    deadline.previous = deadline.next = nullptr;
  }

  /// An expired deadline, disarmed, or nullptr.
  Deadline* pop_expired(Clock::time_point now) {
    for (auto& list : lists_) {
      Deadline* first = list.next;
      if (first != &list && first->when <= now) {
        disarm(*first);
        return first;
      }
    }
    return nullptr;
  }

 private:
  std::array<Clock::duration, timeout_kinds> lengths_;
  std::array<Deadline, timeout_kinds> lists_;
};

}  // namespace prowingen::embedded
