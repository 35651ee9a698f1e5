// Who looks at an I/O thread's sockets: the thread itself, or workers, turn by turn.
//
// Between a socket and an application that answers in microseconds the hand-over is what costs
// most: a wake-up for the request, one for the answer, and everything that both threads touch goes
// from one core's cache to the other's. A worker that has nothing else to do may take the turn
// itself, as the leader of "leader and followers" does (D. C. Schmidt et al., PLoP 2000): it reads
// requests, runs them, and sends their answers.
//
//              lend(), once a worker asked for it
//   attended -------------------------------------> lent
//      ^                                              |  take_turn(), by whoever has nothing to do
//      +---- no turn was taken for `patience`, or ----+  or waits for its client
//            call(), or reclaim()
//
// An application that keeps its workers for longer than that leaves the sockets to the I/O thread,
// which watches over what it has lent: while turns are taken it looks once for each `patience`, and
// sleeps while a worker does so in its turn, until that one goes to work.
//
// The lead is a mutex: whoever has it is the I/O thread, for all that "I/O thread only" is said of.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace prowingen {

class Lead {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// For so long nobody may look at the sockets, when all workers are in the application.
  static constexpr std::chrono::milliseconds patience{1};

  /// `turn`: handles what is ready, and waits for it until then, or for as long as it takes; throws
  /// nothing.
  /// `interrupt`: ends a turn's wait; any thread.
  Lead(std::function<void(std::optional<Time>)> turn, std::function<void()> interrupt)
      : turn_(std::move(turn)), interrupt_(std::move(interrupt)) {}
  Lead(const Lead&) = delete;
  Lead& operator=(const Lead&) = delete;

  // ---- the I/O thread
  /// It has the lead, from its start on.
  void attend() { mutex_.lock(); }
  /// Before it ends.
  void leave() { mutex_.unlock(); }
  bool asked() const { return asked_.load(std::memory_order_relaxed); }
  /// Comes back with the lead.
  void lend();

  // ---- any thread
  /// Nothing is lent any more; ends a turn's wait.
  void reclaim();
  /// Ends the wait of whoever has the turn.
  void wake() {
    if (turn_of_.load() == std::this_thread::get_id()) {
      told_itself_ = true;
    } else {
      interrupt_();
    }
  }
  /// Something is to be done at the sockets now, by whoever: the caller will not soon.
  void call();

  // ---- workers, without the GIL, and with no lock that a turn may need
  /// Would take turns if there were any to take.
  void ask() { asked_.store(true, std::memory_order_relaxed); }
  bool is_lent() const { return lent_.load(std::memory_order_relaxed); }
  /// Takes a turn, unless `idle()`, which is called once nobody else can take it, says that there
  /// is something else to do: whoever calls wake() after that ends its wait. False: it is
  /// another's.
  template <typename Idle>
  bool take_turn(std::optional<Time> until, const Idle& idle) {
    if (!is_lent()) return false;
    const std::unique_lock lead(mutex_, std::try_to_lock);
    if (!lead || !is_lent() || reclaimed_.load()) return false;
    turns_.store(turns_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    told_itself_ = false;
    turn_of_.store(std::this_thread::get_id());
    if (idle()) turn_(until);
    turn_of_.store({});
    return true;
  }
  /// In its own turn: what it has done before it waits has something to do for it.
  bool told_itself() const { return told_itself_; }
  /// After the last of some turns: the worker has something else to do.
  void end_turns() {
    if (watch_sleeps_.load()) end_sleep();
  }

 private:
  bool in_turn() const { return turn_of_.load() != std::thread::id(); }
  /// True: called.
  bool watch(std::uint64_t turns);
  void end_sleep();

  const std::function<void(std::optional<Time>)> turn_;
  const std::function<void()> interrupt_;
  std::mutex mutex_;
  std::atomic<bool> asked_{false};
  std::atomic<bool> lent_{false};
  std::atomic<bool> reclaimed_{false};
  std::atomic<std::uint64_t> turns_{0};  // that were begun
  // Sequentially consistent: either who ends a turn sees that the watch sleeps, or the watch that
  // the turn has ended.
  std::atomic<std::thread::id> turn_of_{};
  std::atomic<bool> watch_sleeps_{false};
  bool told_itself_ = false;  // who has the turn only
  std::mutex watch_mutex_;
  bool called_ = false;  // guarded by it
  std::condition_variable watch_wake_;
};

}  // namespace prowingen
