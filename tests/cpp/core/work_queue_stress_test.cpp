// Many threads at the queue, with a mutex in the GIL's place: nothing is lost, nothing done twice,
// and the tick keeps its promise.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "core/work_queue.h"
#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

NoTransport no_transport;

std::vector<std::shared_ptr<Exchange>> make_exchanges(std::size_t count) {
  std::vector<std::shared_ptr<Exchange>> exchanges;
  for (std::size_t i = 0; i < count; ++i) {
    exchanges.push_back(std::make_shared<Exchange>(no_transport));
  }
  return exchanges;
}

// With these no tick helps a request that was forgotten, and none takes it for one that blocks.
Scheduler::Rules without_ticks() {
  Scheduler::Rules rules;
  rules.fresh = 1h;
  return rules;
}

void nothing() {}

// The loop of a worker thread, as the bindings run it.
template <class Run>
void work(WorkQueue& queue, std::mutex& gil, Run run) {
  std::unique_lock held(gil);
  const auto worker = queue.enrol();
  for (;;) {
    while (const auto exchange = queue.next(worker)) {
      if (exchange->take()) run(worker, *exchange, held);
    }
    held.unlock();
    const bool go_on = queue.park(worker);
    const auto asked = steady_clock::now();
    held.lock();
    if (!go_on) return;
    queue.got_gil(worker, steady_clock::now() - asked, 5ms);
  }
}

// Workers that stop with the queue, at the latest when they go out of scope.
class Pool {
 public:
  template <class Run>
  Pool(WorkQueue& queue, int workers, Run run) : queue_(queue) {
    for (int i = 0; i < workers; ++i) {
      threads_.emplace_back([this, run] { work(queue_, gil_, run); });
    }
  }
  ~Pool() {
    queue_.stop();
    for (auto& thread : threads_) thread.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

 private:
  WorkQueue& queue_;
  std::mutex gil_;
  std::vector<std::thread> threads_;
};

// ---- the tick

TEST(WorkQueueStress, TickComesOnceMoreAfterItFellAsleep) {
  std::atomic<bool> awake{false};
  std::atomic<bool> asleep_again{false};
  std::atomic<WorkQueue*> self{nullptr};
  WorkQueue queue({}, 1000, [&] {
    if (self == nullptr) return;
    if (!self.load()->tick_sleeps()) {
      awake = true;
    } else if (awake) {
      asleep_again = true;
    }
  });
  self = &queue;
  const Pool pool(queue, 2, [](auto&&...) {});
  while (!awake) queue.submit(make_exchanges(3));
  while (!asleep_again) std::this_thread::yield();
}

// Whoever leaves work for the tick and then sees it awake may forget about it.
TEST(WorkQueueStress, WorkLeftForAnAwakeTickIsDone) {
  std::atomic<bool> left{false};
  WorkQueue queue({}, 1000, [&] { left = false; });
  Pool pool(queue, 2, [](auto&&...) {});
  for (int left_to_the_tick = 0; left_to_the_tick < 500;) {
    queue.submit(make_exchanges(3));
    left = true;
    if (queue.tick_sleeps()) continue;
    const auto deadline = steady_clock::now() + 10s;
    while (left) {
      ASSERT_LT(steady_clock::now(), deadline) << "nobody came";
      std::this_thread::yield();
    }
    // So that it falls asleep now and then, too.
    if (++left_to_the_tick % 50 != 0) continue;
    while (!queue.tick_sleeps()) std::this_thread::yield();
  }
}

TEST(WorkQueueStress, NoTickComesAfterStop) {
  std::atomic<int> ticks{0};
  WorkQueue queue({}, 1000, [&] { ++ticks; });
  const Pool pool(queue, 2, [](auto&&...) {});
  while (ticks == 0) queue.submit(make_exchanges(3));
  queue.stop();
  const int before = ticks;
  EXPECT_EQ(queue.submit(make_exchanges(3)), 0U);
  EXPECT_EQ(ticks, before);
}

// ---- no request is lost

// One request at a time, and the next one only when it is answered: a wake-up that gets lost stops
// everything, since no tick and no further request helps.
TEST(WorkQueueStress, LosesNoWakeUp) {
  WorkQueue queue(without_ticks(), 10, nothing);
  std::atomic<int> served{0};
  Pool pool(queue, 4, [&](auto&&...) {
    ++served;
    served.notify_one();
  });
  for (int i = 0; i < 20'000; ++i) {
    queue.submit(make_exchanges(1));
    served.wait(i);
  }
  EXPECT_EQ(served, 20'000);
}

TEST(WorkQueueStress, ServesEachRequestOnceUnderStress) {
  constexpr std::size_t total = 200'000;
  constexpr std::size_t producers = 4;
  WorkQueue queue({}, 512, nothing);
  std::vector<std::atomic<std::uint8_t>> served(total);
  std::atomic<std::size_t> count{0};
  std::atomic<std::size_t> rejected{0};
  {
    Pool pool(queue, 8, [&](auto worker, Exchange& exchange, std::unique_lock<std::mutex>& gil) {
      ++served[exchange.listener];
      // Some block behind the scheduler's back, some wait for a peer.
      if (exchange.listener % 64 == 0) {
        gil.unlock();
        std::this_thread::yield();
        gil.lock();
      } else if (exchange.listener % 64 == 1) {
        queue.wait_begins(worker);
        gil.unlock();
        std::this_thread::yield();
        gil.lock();
        queue.wait_ends(worker);
      }
      if (++count == total) count.notify_one();
    });
    std::vector<std::thread> threads;
    for (std::size_t producer = 0; producer < producers; ++producer) {
      threads.emplace_back([&, producer] {
        for (std::size_t at = producer * total / producers,
                         end = (producer + 1) * total / producers;
             at < end;) {
          auto batch = make_exchanges(std::min<std::size_t>(1 + at % 7, end - at));
          for (auto& exchange : batch) exchange->listener = static_cast<unsigned>(at++);
          for (std::span left(batch); !left.empty();) {
            const auto accepted = queue.submit(left);
            left = left.subspan(accepted);
            rejected += left.size();
            if (!left.empty()) std::this_thread::yield();
          }
        }
      });
    }
    for (auto& thread : threads) thread.join();
    for (auto now = count.load(); now != total; now = count.load()) count.wait(now);
  }
  for (std::size_t i = 0; i < total; ++i) ASSERT_EQ(served[i], 1) << i;
  const auto counters = queue.counters();
  EXPECT_EQ(counters.requests_queued, total);
  EXPECT_EQ(counters.requests_rejected, rejected);
  EXPECT_EQ(counters.queue_length, 0U);
  EXPECT_EQ(counters.workers_running, 0U);
}

}  // namespace
}  // namespace prowingen
