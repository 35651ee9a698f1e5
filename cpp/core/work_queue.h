// The queue between I/O threads and workers. The scheduler decides who runs; this adds the lock,
// the sleeping, the clock and the tick.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/bulkheads.h"
#include "core/engine.h"
#include "core/exchange.h"
#include "core/lead.h"
#include "core/scheduler.h"
#include "core/time_limits.h"
#include "core/worker_state.h"

namespace prowingen {

/// For how long a request may wait for a worker.
struct QueuePatience {
  std::chrono::nanoseconds limit{0};  // 0: for as long as it takes
  /// So many have waited for longer, and were answered 503. Any thread, which must not be kept.
  std::function<void(std::size_t)> on_expired;
};

/// When the queue is too long for what the workers can do: a queue that has not been empty for
/// `interval` is no burst any more, and from then on a request may wait for `target` alone, until
/// it has been empty. That is the rule by which CoDel tells a standing queue from a good one, as B.
/// Maurer gives it for requests ("Fail at Scale", ACM Queue 13-8, 2015).
struct QueueTarget {
  std::chrono::nanoseconds target{0};  // 0: none
  std::chrono::nanoseconds interval{0};
  /// As of QueuePatience.
  std::function<void(std::size_t)> on_shed;
};

/// For how long a request may be with a worker.
struct RunPatience {
  TimeLimits limits;
  std::chrono::nanoseconds warned_before{0};  // so long before that its worker is; 0: it is not
  std::size_t most_stuck = 0;                 // beyond that no worker is replaced
};

class WorkQueue final : public RequestSink {
 public:
  using Worker = Scheduler::Worker;

  struct Counters {
    std::uint64_t requests_queued = 0;
    std::uint64_t requests_rejected = 0;  // the queue was full
    std::uint64_t requests_expired = 0;   // waited for longer than they may
    std::uint64_t requests_shed = 0;      // likewise, while the queue did not get empty
    std::uint64_t requests_held = 0;      // waited for others of their lane
    std::uint64_t requests_taken = 0;     // by a worker
    std::uint64_t events_taken = 0;       // likewise: exchanges that were given again
    std::size_t queue_length = 0;
    std::size_t workers_running = 0;
    std::size_t workers_away = 0;         // in requests that live long
    std::uint64_t requests_overdue = 0;   // were with a worker for longer than they may
    std::size_t workers_stuck = 0;        // in these
    std::size_t workers = 0;              // of the pool
    std::size_t workers_waiting = 0;      // for a client, in a request
    std::size_t workers_standing_by = 0;  // for the GIL, before one
    std::uint64_t wakes = 0;
    bool application_blocks = false;
  };

  /// What a worker is in.
  struct Busy {
    std::shared_ptr<Exchange> exchange;
    WorkerState state;
    std::uint64_t thread;  // as enrol() was told
    Scheduler::Time since;
    Scheduler::Time deadline;  // not set: it may take as long as it takes
  };

  /// A request that has been with a worker for longer than it may, or will soon have been.
  struct Overdue {
    std::shared_ptr<Exchange> exchange;
    Worker worker;
    std::uint64_t turn;    // of that worker: see is_in()
    std::uint64_t thread;  // as enrol() was told
    std::chrono::nanoseconds limit;
    bool warned_only;   // it has some time left
    bool wants_thread;  // one is to be begun that enrols: see will_not_come()
    std::size_t stuck;  // workers now
  };

  /// `capacity`: requests that may wait for a worker. `on_tick` is called by the tick's thread
  /// while requests wait: every `Rules::fresh`, or less often while new requests come in.
  WorkQueue(Scheduler::Rules rules, std::size_t capacity, std::function<void()> on_tick,
            QueuePatience patience = {}, QueueTarget target = {}, BulkheadRules lanes = {},
            RunPatience run_patience = {});
  ~WorkQueue() override;

  /// What the workers are in is kept for busy(), from now on. Before the first request.
  void keep_busy() { keeps_busy_ = true; }

  // ---- I/O threads
  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override;

  // ---- any thread
  /// Queues an exchange that a worker has had, whose events are to be run; there is room for these
  /// in any case. Once for each time that it is run.
  void submit_again(std::shared_ptr<Exchange> exchange);

  // ---- worker threads that hold the GIL; none of these blocks
  /// `thread`: its name for others.
  Worker enrol(std::uint64_t thread = 0);
  /// Ends the worker's running request, if any, and gives it the next one; null: it should park().
  std::shared_ptr<Exchange> next(Worker worker);
  /// The worker's request lives long: others are not to wait for its end. `more`: begins a further
  /// thread that enrols, if none is spare; false: it cannot. False: the worker stays, for that
  /// reason, or since so many have left as may. With the GIL.
  bool leave(Worker worker, const std::function<bool()>& more);
  /// Whether any may leave at all; else all stay, and none is turned away for that.
  bool lets_leave() const { return most_away_ != 0; }
  /// The worker is about to give up the GIL to wait for a peer, or has it again.
  void wait_begins(Worker worker);
  void wait_ends(Worker worker);
  /// `waited`: for the GIL. `switch_interval`: of the interpreter, as it is now.
  void got_gil(Worker worker, std::chrono::nanoseconds waited,
               std::chrono::nanoseconds switch_interval);
  /// Whether other requests wait: an answer's wake-up of the I/O thread may then wait too.
  bool more_queued() const { return length_.load(std::memory_order_relaxed) != 0; }
  /// Whether `on_tick` will not be called soon. It is called once after this became true, so that
  /// whoever leaves work for the tick and then sees false here is sure that it will be done.
  bool tick_sleeps() const { return tick_sleeps_.load(); }

  // ---- any thread: what the workers are in
  /// Those that are in something; nothing unless it is kept. Longest first.
  std::vector<Busy> busy() const;

  // ---- any thread: requests that take too long
  /// Those that have become overdue, once each. Their workers are not of the pool from now on, and
  /// their clients are to be answered.
  std::vector<Overdue> take_overdue(Scheduler::Time now);
  /// When the next of those that run now will be.
  Scheduler::Time next_overdue() const;
  /// Whether the worker is still in the request that it was then in.
  bool is_in(Worker worker, std::uint64_t turn) const;
  /// No thread could be begun in a stuck one's place.
  void will_not_come();

  // ---- worker threads that do not hold the GIL
  /// Sleeps until there is work for this worker. False: the queue was stopped, or it is gone.
  /// `lead`: it may look at the sockets meanwhile; null: it may not.
  bool park(Worker worker, Lead* lead = nullptr);

  // ---- any thread
  /// Wakes every worker for the last time and drops what is queued (its clients are gone or
  /// refused by then). `on_tick` is not called any more once it returns. One thread; idempotent.
  void stop();
  Counters counters() const;
  /// Whether exchanges that were given again wait, or are being run: what they have to tell would
  /// be lost by a stop.
  bool has_events() const;
  /// How long the workers have been stuck: no request was taken or ended, though some wait or every
  /// worker is in one. Zero while anybody could take a request, and while a worker waits for a
  /// client: that is the client's fault, and has a time limit of its own.
  std::chrono::nanoseconds stalled_for() const;
  /// How long the request that has waited for longest has waited, of those that wait for a worker
  /// alone.
  std::chrono::nanoseconds waiting_for() const;

 private:
  struct Sleeper {
    std::condition_variable wake;
    Lead* lead = nullptr;     // it takes turns: this wakes it
    bool running = false;     // between next() and the following next()
    bool runs_event = false;  // what it runs was submitted again
    std::size_t lane = 0;     // of its request
    std::uint64_t turns = 0;  // so many times it was given something
    Scheduler::Time started;
    std::uint64_t thread = 0;
    std::shared_ptr<Exchange> exchange;  // that it is in, if anybody wants to know
    bool timed = false;                  // there is a deadline to be seen to
    bool warned = false;
  };

  struct Entry {
    std::shared_ptr<Exchange> exchange;
    bool is_event;  // it was submitted again
    Scheduler::Time since;
  };

  using Lock = std::unique_lock<std::mutex>;

  // Invariant: while a worker is parked and more requests wait than one that somebody was just
  // woken for, the tick runs. Without it a request could wait for one that never ends.

  /// Wakes a worker if the rules want one, and lets go of the lock first: the woken thread would
  /// only run into it. True if somebody was woken.
  bool wake_one(Lock lock, Scheduler::Time now);
  /// Those that wait: in the queue, and for others of their lane. With the lock.
  std::size_t waiting() const { return queue_.size() - events_ + bulkheads_.held(); }
  /// A request of that lane is over. With the lock.
  void leave_lane(std::size_t lane, Scheduler::Time now);
  /// What is queued next is the first. With the lock.
  void begin_queue(Scheduler::Time now);
  bool is_overdue(const Exchange& exchange, Scheduler::Time now) const;
  bool is_shed(const Entry& entry, Scheduler::Time now) const;
  bool anybody_expires() const {
    return patience_.limit.count() != 0 || target_.target.count() != 0;
  }
  /// Takes those out of the queue that have waited for too long. With the lock.
  std::vector<std::shared_ptr<Exchange>> take_expired(Scheduler::Time now);
  /// Answers them. Without it.
  void refuse(std::span<const std::shared_ptr<Exchange>> refused);
  /// Before this none can have waited for too long.
  Scheduler::Time first_expiry(Scheduler::Time now) const;
  /// Its deadline is seen to: what it was in, unless that is kept for others.
  std::shared_ptr<Exchange> end_timing(Sleeper& worker) const;
  /// When there is something to be done about the request that it is in, if ever.
  Scheduler::Time attention_due(const Sleeper& worker) const;
  void sleep_until_needed(Lock& lock);
  bool is_needed(Worker worker) const;
  void take_turns(Worker worker, Lead& lead, Lock& lock);
  void measure_pace(const Sleeper& worker, Scheduler::Time now);
  void start_ticking();
  void tick();

  mutable std::mutex mutex_;
  Scheduler scheduler_;
  const std::size_t capacity_;
  const std::size_t most_away_;
  const std::chrono::nanoseconds tick_interval_;
  const std::function<void()> on_tick_;
  const QueuePatience patience_;
  const QueueTarget target_;
  const RunPatience run_patience_;
  std::deque<Entry> queue_;
  std::deque<Sleeper> sleepers_;        // a deque: elements never move
  std::size_t events_ = 0;              // in queue_: what was submitted again
  std::size_t events_running_ = 0;      // likewise, with workers
  std::atomic<std::size_t> length_{0};  // of queue_, readable without the lock
  // Average time between two requests being done, over all workers; readable without the lock.
  std::atomic<std::chrono::nanoseconds::rep> pace_{0};
  Bulkheads bulkheads_;
  Scheduler::Time last_empty_{};     // until then the queue was
  Scheduler::Time last_progress_{};  // a request was taken or ended, or the first one queued
  bool stopped_ = false;
  bool submitted_ = false;  // since the last tick
  Counters counters_;
  // The tick's thread sleeps on this until requests wait that nobody was woken for.
  std::condition_variable tick_needed_;
  std::atomic<bool> tick_sleeps_{true};
  bool keeps_busy_ = false;
  std::thread ticker_;
};

}  // namespace prowingen
