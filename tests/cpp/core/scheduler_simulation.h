// Whole loads against the scheduler, event by event and with made-up times: workers that take time
// to wake, a GIL that is handed over as CPython does it, the work queue's tick, closed-loop
// clients, and applications that change their ways.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "core/scheduler.h"

namespace prowingen::simulation {

using namespace std::chrono_literals;
using Time = Scheduler::Time;
using Duration = Scheduler::Duration;
using Worker = Scheduler::Worker;

// What a request does: computes with the GIL, then blocks without it.
struct Work {
  Duration compute;
  Duration block = 0ns;
};

constexpr Duration wake_up = 50us;  // of a sleeping thread, until it runs
constexpr Duration hand_over = 25us;
constexpr Duration round_trip = 50us;              // from an answer to the client's next request
constexpr Duration tick = 200us, busy_tick = 1ms;  // the latter while requests keep coming

struct Tally {
  std::vector<Duration> fast;       // latencies of requests that only compute
  std::vector<Duration> blocking;   // and of the others
  std::vector<std::size_t> served;  // by worker
  std::size_t wakes = 0;
  std::size_t interruptions = 0;  // the GIL taken by force

  std::size_t requests() const { return fast.size() + blocking.size(); }
  double share_of_busiest() const {
    return static_cast<double>(*std::ranges::max_element(served)) / static_cast<double>(requests());
  }
};

inline Duration percentile(std::vector<Duration> latencies, std::size_t percent) {
  std::ranges::sort(latencies);
  return latencies.empty() ? 0ns : latencies[(latencies.size() - 1) * percent / 100];
}

class Simulation {
 public:
  /// `switch_interval`: what the application has set it to.
  Simulation(std::size_t workers, std::size_t clients, std::function<Work()> draw,
             Duration switch_interval = Scheduler::Rules{}.switch_interval)
      : switch_interval_(switch_interval), draw_(std::move(draw)), threads_(workers) {
    scheduler_.set_switch_interval(switch_interval);
    for (std::size_t i = 0; i < workers; ++i) scheduler_.parked(scheduler_.enrol());
    for (std::size_t i = 0; i < clients; ++i) after(i * 10us, [this] { arrive(); });
    after(tick, [this] { on_tick(); });
    forget();
  }

  void run(Duration time) {
    for (const Time end = now_ + time; events_.top().when <= end;) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.when;
      event.happen();
    }
  }
  // Starts counting anew: what came before was warming up.
  void forget() { tally = {{}, {}, std::vector<std::size_t>(threads_.size()), 0, 0}; }

  Tally tally;

 private:
  struct Request {
    Work work;
    Time arrived;
    bool blocks;
  };
  struct Thread {
    std::optional<Request> request;
    Time asked;             // for the GIL, without a request
    unsigned patience = 0;  // numbers its waits for the GIL; an older one's end means nothing
    unsigned slice = 0;     // numbers its stretches of computation, likewise
    Time resumed;           // when the last one began
  };
  struct Event {
    Time when;
    std::uint64_t order;
    std::function<void()> happen;
    bool operator<(const Event& other) const {
      return std::pair(when, order) > std::pair(other.when, other.order);
    }
  };

  void after(Duration delay, std::function<void()> happen) {
    events_.push({now_ + delay, ++order_, std::move(happen)});
  }

  // ---- the work queue

  void arrive() {
    const Work work = draw_();
    queue_.push_back({work, now_, work.block > 0ns});
    submitted_ = true;
    wake();
  }

  void wake() {
    const auto worker = scheduler_.wake(now_, queue_.size());
    if (!worker) return;
    ++tally.wakes;
    after(wake_up, [this, worker = *worker] {
      threads_[worker].asked = now_;
      want_gil(worker);
    });
  }

  void on_tick() {
    wake();
    after(std::exchange(submitted_, false) ? busy_tick : tick, [this] { on_tick(); });
  }

  void next(Worker worker) {
    if (queue_.empty() || !scheduler_.may_take(worker, now_)) {
      give_gil_up();
      scheduler_.parked(worker);
      return wake();
    }
    threads_[worker].request = queue_.front();
    queue_.pop_front();
    scheduler_.started(worker, now_);
    if (scheduler_.application_blocks()) wake();
    compute(worker);
  }

  void compute(Worker worker) {
    Thread& thread = threads_[worker];
    thread.resumed = now_;
    after(thread.request->work.compute, [this, worker, slice = ++thread.slice] {
      if (threads_[worker].slice == slice) computed(worker);
    });
  }

  void computed(Worker worker) {
    Request& request = *threads_[worker].request;
    if (request.work.block > 0ns) {
      after(std::exchange(request.work.block, 0ns) + wake_up, [this, worker] { want_gil(worker); });
      request.work.compute = 0ns;
      return give_gil_up();
    }
    (request.blocks ? tally.blocking : tally.fast).push_back(now_ - request.arrived);
    ++tally.served[worker];
    after(round_trip, [this] { arrive(); });
    threads_[worker].request.reset();
    scheduler_.finished(worker);
    next(worker);
  }

  // ---- the GIL

  void want_gil(Worker worker) {
    if (!holder_) return take_gil(worker);
    waiters_.push_back(worker);
    wait_for_gil(worker);
  }

  // Who has waited for the switch interval without anybody else getting it may force the holder.
  void wait_for_gil(Worker worker) {
    after(switch_interval_,
          [this, worker, patience = ++threads_[worker].patience, switches = switches_] {
            if (threads_[worker].patience != patience) return;
            if (holder_ && switches_ == switches) interrupt(*holder_);
            if (threads_[worker].patience == patience) wait_for_gil(worker);
          });
  }

  void interrupt(Worker worker) {
    ++tally.interruptions;
    Thread& thread = threads_[worker];
    ++thread.slice;
    thread.request->work.compute -= now_ - thread.resumed;
    give_gil_up();
    waiters_.push_back(worker);
    wait_for_gil(worker);
  }

  void give_gil_up() {
    holder_.reset();
    if (waiters_.empty()) return;
    const Worker first = waiters_.front();
    waiters_.pop_front();
    ++threads_[first].patience;
    after(hand_over, [this, first] { want_gil(first); });  // somebody may be quicker
  }

  void take_gil(Worker worker) {
    if (std::exchange(last_holder_, worker) != worker) ++switches_;
    holder_ = worker;
    Thread& thread = threads_[worker];
    if (thread.request) return compute(worker);
    scheduler_.got_gil(worker, now_, now_ - thread.asked);
    next(worker);
  }

  const Duration switch_interval_;
  Scheduler scheduler_{{}};
  std::function<Work()> draw_;
  std::vector<Thread> threads_;
  std::deque<Request> queue_;
  bool submitted_ = false;
  std::optional<Worker> holder_;
  std::optional<Worker> last_holder_;
  std::deque<Worker> waiters_;
  unsigned switches_ = 0;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  Time now_ = Time{} + 1h;
};

}  // namespace prowingen::simulation
