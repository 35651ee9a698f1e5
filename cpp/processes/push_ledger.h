// Which process of a server pushes its figures, and what has been pushed, in memory that all of
// them share: so that one does, and each difference goes out once, whoever ends when.
//
//   nobody --take()--> a process holds it --give_up()--> nobody
//                      |  it ended          --take()--> another one
//                      '- it was stopped for `stale`, likewise
//
// A push is written to a journal first, and counts as pushed from one store on: the state word. It
// has the holder's term, which sum counts, and how much of the journal has been sent:
//
//   state = term | which of two sums was pushed | datagrams of the journal | those sent
//
// All of it changes by compare-exchange of a holder in its own term. Whoever takes it begins a new
// term, so that one that comes back from a long stop can change nothing any more; it finds the rest
// of a journal that its predecessor has left, and sends that. A datagram is marked as sent before
// it is: of one that is killed in between, that one is missing, and none comes twice.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "processes/tally.h"

namespace prowingen {

class PushLedger {
 public:
  using Clock = std::chrono::steady_clock;
  /// Who has not looked after it for so long may have ended, and another process have its number.
  static constexpr std::chrono::seconds stale{60};

  enum class Sent : std::uint8_t { sent, not_now, never };
  using Send = std::function<Sent(std::string_view datagram)>;

  /// Throws std::system_error if there is no memory.
  PushLedger();
  ~PushLedger();
  PushLedger(const PushLedger&) = delete;
  PushLedger& operator=(const PushLedger&) = delete;

  // ---- one thread of each process that shares it
  /// True: this process holds it, from now on or still.
  bool take(Clock::time_point now);
  /// Another one may take it at once.
  void give_up();
  /// It has counted its last. Whoever holds it and gives it up looks before and after whether
  /// another has left, which it then has to push for: that one has found it held.
  void leave() { shared_->left.fetch_add(1); }
  std::uint64_t left() const { return shared_->left.load(); }

  // ---- of the holder
  /// When the last push was begun, by whichever process; the clock's beginning: never.
  Clock::time_point last_push() const;
  /// What has been pushed so far, the journal included.
  Tally::Sum pushed() const;
  /// Something of the journal has not been sent.
  bool unsent() const;
  /// From now on `sum` counts as pushed, by these datagrams: it is the journal, once the last one
  /// is sent. Returns how many of them there was no room for, or all if it holds this no more.
  std::size_t begin_push(const Tally::Sum& sum, std::span<const std::string> datagrams,
                         Clock::time_point now);
  /// Sends what is left of the journal, until one cannot be sent now. True: all of it is over.
  bool send(const Send& send);

 private:
  static constexpr std::size_t journal_size = std::size_t{4} << 20;
  static constexpr std::size_t most_datagrams = 8192;

  struct Shared {
    std::atomic<std::uint64_t> holder;  // a process id; 0: nobody
    std::atomic<std::int64_t> seen;     // when the holder last looked after it
    std::atomic<std::uint64_t> state;   // above
    std::atomic<std::int64_t> begun;    // when the last push was
    std::atomic<std::uint64_t> left;    // processes
    std::array<Tally::Sum, 2> sums;     // the one that was pushed, and the one that is to be
    std::array<std::uint32_t, most_datagrams> ends;  // of each datagram in the journal
    std::array<char, journal_size> journal;
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "it is shared by processes");

  struct State {
    std::uint64_t term = 0;
    std::uint64_t sum = 0;
    std::uint64_t datagrams = 0;
    std::uint64_t sent = 0;
  };
  static std::uint64_t packed(const State& state);
  static State unpacked(std::uint64_t word);

  State state() const { return unpacked(shared_->state.load()); }
  bool holds() const;
  bool change(State from, State to);
  bool may_be_taken(std::uint64_t holder, Clock::time_point now) const;

  Shared* shared_;
  std::uint64_t term_ = 0;  // of this process; 0: it holds nothing
};

}  // namespace prowingen
