// Which descriptors are ready: one class per operating system facility, all with the same contract.
// Level-triggered, since that needs no system call between two events of a descriptor.
//
// EventLoop is the only user. One thread, except for wake().
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/chunk.h"

#if defined(__linux__)
#include <sys/epoll.h>
#endif
#include <poll.h>

namespace prowingen {

/// What a descriptor is watched for, and what it is ready for. Bits.
enum class Interest : std::uint8_t { none = 0, read = 1, write = 2, both = 3 };

constexpr Interest operator|(Interest a, Interest b) {
  return static_cast<Interest>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr Interest operator&(Interest a, Interest b) {
  return static_cast<Interest>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
/// Whether `a` has all that `b` has.
constexpr bool includes(Interest a, Interest b) { return (a & b) == b; }

struct ReadyEvent {
  std::uint64_t key;  // as given to add()
  Interest ready;
  bool failed;  // an error or a hang-up, which is reported whatever the descriptor is watched for
};

/// Any POSIX system. Its cost grows with the number of descriptors.
class PollPoller {
 public:
  PollPoller();  // std::system_error
  /// False, with errno set, if the system has no room.
  bool add(int descriptor, Interest interest, std::uint64_t key);
  bool change(int descriptor, Interest interest, std::uint64_t key);
  void remove(int descriptor);
  /// Ready descriptors; none after `timeout` or wake(). Valid until the next call.
  std::span<const ReadyEvent> wait(std::chrono::nanoseconds timeout);
  /// Ends the wait() under way, or the next one. Any thread.
  void wake();

 private:
  UniqueFd wake_reader_;
  UniqueFd wake_writer_;
  std::vector<pollfd> descriptors_;
  std::vector<std::uint64_t> keys_;                     // of descriptors_, index by index
  std::unordered_map<int, std::size_t> descriptor_at_;  // index in both
  std::vector<ReadyEvent> ready_;
};

#if defined(__linux__)
class EpollPoller {
 public:
  EpollPoller();
  bool add(int descriptor, Interest interest, std::uint64_t key);
  bool change(int descriptor, Interest interest, std::uint64_t key);
  void remove(int descriptor);
  std::span<const ReadyEvent> wait(std::chrono::nanoseconds timeout);
  void wake();

 private:
  bool control(int operation, int descriptor, Interest interest, std::uint64_t key);

  UniqueFd epoll_;
  UniqueFd wake_event_;
  std::vector<epoll_event> events_;
  std::vector<ReadyEvent> ready_;
};
using Poller = EpollPoller;
#else
using Poller = PollPoller;
#endif

}  // namespace prowingen
