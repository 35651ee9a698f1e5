// How much memory strangers may fill: one budget of a process for unfinished heads, request bodies
// and answers that are not sent, over all connections.
//
//   used:  0 ........... 3/4 .......... limit ......... 9/8
//          roomy         answers are    full: who holds  urgent: the greediest and slowest
//                        produced       memory is read   are cut at once, not only when it
//                        as they leave  no further       has been full for `patience`
//
// Whoever keeps bytes of a client's has a MemoryCharge and tells it how many these are. Charges
// move in steps, so that a request whose head comes in one read and whose answer leaves in one
// write never touches what all threads share. What is charged is what somebody else decided to send
// or not to read; a worker's own memory is the application's.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace prowingen {

/// Any thread.
class MemoryBudget {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// How long a full budget may take to find relief by itself: workers take bodies, clients read.
  static constexpr std::chrono::milliseconds patience{200};
  /// An answer may hold this much in any case: small ones always go out, and nobody waits for
  /// anybody else.
  static constexpr std::size_t answer_floor = std::size_t{16} * 1024;

  /// What all bodies that wait for a worker may hold beyond what each of them may: uploads of usual
  /// size need no file, and those of strangers who stop are soon in files.
  static constexpr std::uint64_t body_share = std::uint64_t{16} * 1024 * 1024;

  explicit MemoryBudget(std::uint64_t limit) : limit_(limit) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  std::uint64_t limit() const { return limit_; }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  bool roomy() const { return used() < limit_ / 4 * 3; }
  bool full() const { return used() >= limit_; }
  bool urgent() const { return used() >= limit_ + limit_ / 8; }
  /// Somebody has to go, whoever it is.
  bool overflowing() const { return used() >= limit_ + limit_ / 4; }
  /// What has to go if somebody has to.
  std::uint64_t excess() const;
  /// How much of an answer, of the `wanted`, is to be kept before its worker waits. The fuller the
  /// budget the less: many slow readers share three quarters of it, and leave a rest to others.
  std::size_t answer_room(std::size_t wanted) const;

  // ---- who is to go: each I/O thread knows its own connections, and gives up no one of them while
  // another thread has one that costs more
  /// Another I/O thread looks after its connections from here on. Returns its number.
  unsigned add_watch();
  /// What the costliest of its connections costs now; 0: none of them holds anything.
  void note_costliest(unsigned watch, double cost, Time now);
  /// The highest of what the others have noted, as long as that is new. Nothing: not all of them
  /// have looked since it became full.
  std::optional<double> costliest_of_others(unsigned watch, Time now) const;

  // ---- a shortage: from the first time that it is full until it has not been so for a while
  /// Notes that somebody was kept waiting or cut. True the first time of a shortage: say so.
  bool note_shortage(Time now);
  /// The end of a shortage, once: how many were cut.
  std::optional<std::uint64_t> note_relief(Time now);
  bool in_shortage() const { return short_.load(std::memory_order_relaxed); }
  void count_cut() { cut_.fetch_add(1, std::memory_order_relaxed); }

  struct Counters {
    std::uint64_t shortages = 0;
    std::uint64_t cut = 0;  // requests and answers that were given up
  };
  Counters counters() const;

 private:
  friend class MemoryCharge;
  friend class BodyShare;

  struct Costliest {
    std::atomic<double> cost{0};
    std::atomic<Time::rep> noted_at{0};
  };

  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint64_t> body_shares_{0};
  std::atomic<bool> short_{false};
  std::atomic<Time::rep> last_short_{0};
  std::atomic<std::uint64_t> shortages_{0};
  std::atomic<std::uint64_t> cut_{0};
  std::atomic<std::uint64_t> cut_before_{0};  // the shortage
  std::atomic<unsigned> watches_{0};
  std::array<Costliest, 256> costliest_;  // as many as there may be I/O threads
};

/// What a report says when a shortage begins and ends.
std::string describe_shortage(const MemoryBudget& budget);
std::string describe_relief(const MemoryBudget& budget, std::uint64_t cut);

/// What one holder has of the budget, given back when it goes. As safe as an integer: whoever owns
/// it guards it.
class MemoryCharge {
 public:
  /// Less than this is free.
  static constexpr std::size_t step = 4096;

  /// `budget`: null for none; it outlives the charge. Not counted: its count would be written for
  /// each request, beside what other threads read.
  explicit MemoryCharge(MemoryBudget* budget) : budget_(budget) {}
  ~MemoryCharge() { set(0); }
  MemoryCharge(const MemoryCharge&) = delete;
  MemoryCharge& operator=(const MemoryCharge&) = delete;

  void set(std::uint64_t bytes) {
    if (const auto steps = bytes / step; steps != steps_) move_to(steps);
  }
  std::uint64_t bytes() const { return steps_ * step; }
  const MemoryBudget* budget() const { return budget_; }

 private:
  void move_to(std::uint64_t steps);

  MemoryBudget* const budget_;
  std::uint64_t steps_ = 0;
};

/// What one body has of the share of all bodies; what it holds is charged to the budget as well. As
/// safe as an integer.
class BodyShare {
 public:
  /// `budget`: null for no share; it outlives this.
  explicit BodyShare(MemoryBudget* budget = nullptr) : budget_(budget) {}
  ~BodyShare() { release(); }
  BodyShare(BodyShare&& other) noexcept
      : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
  BodyShare& operator=(BodyShare&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  /// False: memory is not roomy, or others have the share.
  bool grow_to(std::uint64_t bytes);
  void release();
  bool empty() const { return bytes_ == 0; }

 private:
  MemoryBudget* budget_;
  std::uint64_t bytes_ = 0;
};

/// What somebody keeps for a client, and for how long that has hardly moved.
struct MemoryHolding {
  std::uint64_t bytes = 0;
  std::chrono::duration<double> waited{};

  /// Of one who holds less nothing is regained: an answer on its way to its connection, say.
  bool counts() const { return bytes >= MemoryCharge::step; }
  /// Whoever keeps something is given up before long, however lately it moved.
  double cost() const { return static_cast<double>(bytes) * (waited.count() + 0.001); }
};

}  // namespace prowingen
