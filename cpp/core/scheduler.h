// Who runs, who waits for the GIL, who sleeps: the rules, and nothing else. No thread, no lock, no
// clock of its own: WorkQueue calls it under its mutex, a unit test calls it with made-up times.
//
// A pool of threads that all want the GIL spends its time handing it over, and a request that a
// thread took before it got the GIL waits behind every other thread. So:
//
//   1. A worker takes the GIL first and a request second.
//   2. It keeps the GIL from request to request while the queue is not empty.
//   3. Idle workers are parked, last in first out. One is woken only if nobody stands by for the
//      GIL and every running worker has been on its request for longer than `fresh`: then the
//      application probably blocks, and the GIL is probably free.
//   4. A worker that finishes a request parks when another one is running a fresh request, or
//      stands by for the GIL: handing it over now costs less than being interrupted later.
//   5. A worker that had the GIL for less than the switch interval and lost it in the middle of a
//      request was not interrupted: it blocked. An average of such proofs turns rules 3 and 4 off
//      for applications that block (a worker is then woken for each request), and on again when
//      the proofs stop: who gets the GIL by force proves the contrary, and so does, much weaker,
//      each request that ended with the GIL although another worker stood by for it. Requests
//      of microseconds prove it in no other way: nobody has the GIL for a whole interval.
//      Who gets the GIL because another parked, or could have been interrupted
//      on behalf of a third, proves nothing: counting that, a pool that fights over the GIL takes
//      its own fight for blocking and fights on. What the interval is, the application can set: it
//      is looked at anew for each proof.
//   6. A worker that got the GIL by force interrupted another in the middle of its request. It
//      stands in for that one for most of a switch interval, then parks at the end of a request,
//      so that the other can go on; until then nobody else is woken. Requests that compute for
//      long are so shared by two workers, and not by the whole pool in slices of 5 ms.
//   7. While requests take microseconds, handing them over costs more than they do: a worker that
//      would park looks at the sockets itself (core/lead.h), and is the one who is woken for what
//      it finds there. Another running request makes no difference: whoever has the GIL has it.
//
//            submit, tick               has the GIL               next()
//   parked ----------------> standby ------------------> ready ------------> running
//     ^                         ^                        |  ^                |  |  ^
//     +---- queue empty, or ----|------------------------+  +----- done -----+  |  |
//           rule 4              +------------- waiting <--- without_gil() -----+  |
//                               |             (body, write)                       |
//                               +--- has the GIL again: back to running ----------+
//
// A request may live long: a stream of events, a socket of a blocking application. Its worker
// leaves the pool, where another takes its place, so that such requests starve no others:
//
//   running --leaves--> away --returns--> ready   if the pool is short of one
//   waiting                     |
//                               +-------> spare   asleep; parked when another leaves
//                               +-------> gone    its thread ends
//
// A request that takes longer than it may is answered without its worker, which is then stuck: it
// leaves the pool likewise, and comes back by the same ways if it ever does. How many do is not a
// matter of `most_away`.
//
// Without a GIL (free-threaded Python) rules 1 to 7 fall away: a worker is woken for each request,
// up to the number of cores.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace prowingen {

class Scheduler {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::nanoseconds;
  using Worker = std::uint32_t;

  struct Rules {
    /// A request younger than this is expected to be done soon. Long enough for most requests of
    /// most applications, short enough that nobody notices the wait behind one that blocks.
    Duration fresh = std::chrono::microseconds(200);
    /// `sys.getswitchinterval()`: a thread that asks for the GIL gets it by force after this. What
    /// it is at first; an application may set it.
    Duration switch_interval = std::chrono::milliseconds(5);
    /// With a shorter one nothing is proven: the system's own delays are as long.
    Duration shortest_telling_interval = std::chrono::milliseconds(1);
    /// Weight of the newest proof in the average, and the averages that turn rules 3 and 4 off
    /// and on; two of them, so that a mixed load does not flap.
    double proof_weight = 1.0 / 16;
    /// Weight of a request that did not block. As weak as this the whole pool is at work for
    /// applications of which one request in 12 blocks, and is not where fewer than one in 40 do:
    /// they keep the others waiting for 5 us on average (`fresh` for each that blocks), which is
    /// what a needless wake-up costs.
    double quick_weight = 1.0 / 256;
    double blocking_above = 0.6;
    double blocking_below = 0.3;
    /// How long a worker stands in for one that it interrupted: shorter than the switch interval,
    /// after which that one would interrupt it in turn.
    Duration stand_in = std::chrono::milliseconds(4);
    /// Requests that take less on average are not handed over (rule 7), until they take more than
    /// the second. A hand-over costs about 3 us of CPU on both sides together.
    Duration quick_below = std::chrono::microseconds(10);
    Duration quick_until = std::chrono::microseconds(20);
    bool has_gil = true;
    std::size_t cores = 1;  // only without a GIL
    /// Workers of the pool: who returns to it is of no use beyond that, but that making a thread
    /// costs as much as some requests do, and so a few are kept for when others leave.
    std::size_t workers = 1;
    std::size_t most_spares = 8;
    /// Workers that may be away at a time.
    std::size_t most_away = 0;
  };

  enum class State : std::uint8_t {
    parked,
    standby,
    ready,
    running,
    waiting,
    away,
    stuck,
    spare,
    gone
  };

  explicit Scheduler(Rules rules) : rules_(rules), switch_interval_(rules.switch_interval) {}

  /// The switch interval as it is now.
  void set_switch_interval(Duration interval) { switch_interval_ = interval; }

  /// Enrols a worker that holds the GIL. It stays as long as the scheduler does, but for one that
  /// has been away.
  Worker enrol();

  /// A request was queued, or the tick fired: whom to wake, if anybody. `queued` requests wait.
  std::optional<Worker> wake(Time now, std::size_t queued);

  /// May this worker, which is ready, take a request (true), or should it park (rules 4 and 6)?
  bool may_take(Worker worker, Time now) const;
  void started(Worker worker, Time now);  // ready → running
  void finished(Worker worker);           // running → ready
  void parked(Worker worker);             // ready → parked
  /// Rule 7: whether a parked worker is to look at the sockets. `pace`: what a request takes.
  bool may_lead(Worker worker, Duration pace);
  /// It does; one at a time.
  void leads(Worker worker) { leader_ = worker; }
  void leads_no_more(Worker worker) {
    if (leader_ == worker) leader_ = nobody;
  }
  void got_gil(Worker worker, Time now, Duration waited);  // standby → ready
  void wait_begins(Worker worker);          // running → waiting: it gave the GIL up knowingly
  void wait_ends(Worker worker, Time now);  // waiting → running

  /// Its request lives long: it is not of the pool any more. A spare one takes its place, or one
  /// that is about to be enrolled.
  void leaves(Worker worker, bool spare);
  bool may_leave() const { return away_count_ + leaving_ < rules_.most_away; }
  /// One will be enrolled, in place of another that is about to leave; or it cannot be.
  void expect() {
    ++coming_;
    ++leaving_;
  }
  void expect_no_more() {
    --coming_;
    --leaving_;
  }
  /// It does not leave, though another comes.
  void stays() { --leaving_; }
  bool has_spare() const { return !spares_.empty(); }
  /// Its request is not its own any more. A spare one takes its place, or one that will be enrolled
  /// (`replaced`); else the pool is short of one.
  void gets_stuck(Worker worker, bool spare, bool replaced);
  void will_not_come() { --coming_; }
  /// That request is over: its worker is ready for others, spare, or gone.
  State returns(Worker worker);
  /// Nothing more is asked about one that is gone: its place is free.
  void forget(Worker worker) { free_.push_back(worker); }

  State state(Worker worker) const { return slots_[worker].state; }
  bool application_blocks() const { return blocking_; }
  std::size_t running() const { return running_count_; }
  /// Workers that gave the GIL up to wait for a client.
  std::size_t waiting() const { return waiting_count_; }
  /// Workers that were woken and have no GIL yet.
  std::size_t standing_by() const { return standby_count_; }
  /// Workers of the pool.
  std::size_t members() const { return members_; }
  /// Every worker is in a request.
  bool everybody_busy() const { return running_count_ + waiting_count_ == members_; }
  /// It is in a request that the pool does not count on any more.
  bool is_out(Worker worker) const {
    return state(worker) == State::away || state(worker) == State::stuck;
  }
  /// Workers whose requests were answered without them.
  std::size_t stuck() const { return stuck_count_; }
  /// Workers whose requests live long.
  std::size_t away() const { return away_count_; }
  bool anybody_parked() const { return !parked_.empty(); }

 private:
  static constexpr Worker nobody = ~Worker{0};

  // Running workers form a list, most recently started first: rules 3 and 4 ask for the youngest
  // request only, and must not cost more with more threads.
  struct Slot {
    State state = State::ready;
    bool contended = false;  // another stood by when its request began
    Time started{};
    Worker newer = nobody;
    Worker older = nobody;
  };

  bool fresh_request_runs(Time now) const {
    return newest_ != nobody && now - slots_[newest_].started < rules_.fresh;
  }
  void leave_pool(Worker worker, State to, bool spare);
  void holds_gil(Worker worker, Time now);
  /// How long a stand-in may go on, and how long nobody else is woken beside it.
  Duration stand_in() const;
  Duration stood_in() const;
  void average(double proof, double weight);
  void link(Worker worker, Time now);
  void unlink(Worker worker);
  void set_state(Worker worker, State from, State to);

  Rules rules_;
  Duration switch_interval_;
  std::vector<Slot> slots_;
  std::vector<Worker> parked_;  // a stack: the last one's caches are the warmest
  std::vector<Worker> spares_;
  std::vector<Worker> free_;  // places of those that are gone
  std::size_t members_ = 0;   // of the pool
  std::size_t coming_ = 0;    // that will be
  std::size_t leaving_ = 0;   // that are about to leave
  std::size_t away_count_ = 0;
  std::size_t stuck_count_ = 0;
  Worker newest_ = nobody;
  std::size_t running_count_ = 0;
  std::size_t standby_count_ = 0;
  std::size_t ready_count_ = 0;
  std::size_t waiting_count_ = 0;
  Worker holder_ = nobody;  // who was last known to have the GIL, and since when at least
  Time held_since_{};
  Worker interrupted_ = nobody;  // rule 6: it waits for the GIL in the middle of a request
  Time interrupted_at_{};
  Worker leader_ = nobody;
  bool quick_ = false;
  double proofs_ = 0;
  bool blocking_ = false;
};

}  // namespace prowingen
