// The tick must not fall asleep over a request that came while it was falling asleep.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "core/work_queue.h"
#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;

// In the n-th tick, whichever that is, a worker takes a request that never ends and a second one
// is queued behind it. A parked worker has to be woken for that: nothing else will happen.
TEST(WorkQueueTick, SeesARequestWhicheverTickItCameIn) {
  NoTransport transport;
  bool happened = true;
  for (int chosen = 1; happened && chosen < 100; ++chosen) {
    WorkQueue* self = nullptr;
    Scheduler::Worker busy = 0;
    std::promise<void> ready;
    std::atomic<int> ticks{0};
    Scheduler::Rules rules;
    rules.fresh = 2ms;
    WorkQueue queue(rules, 10, [&, is_ready = ready.get_future().share()] {
      is_ready.wait();
      if (++ticks != chosen) return;
      for (int i = 0; i < 2; ++i) {
        const auto exchange = std::make_shared<Exchange>(transport);
        self->submit({&exchange, 1});
        if (i == 0) {
          EXPECT_NE(self->next(busy), nullptr);
        }
      }
    });
    self = &queue;
    busy = queue.enrol();
    const auto idle = queue.enrol();
    auto woken = std::async(std::launch::async, [&] { return queue.park(idle); });
    std::this_thread::sleep_for(20ms);  // parked by then, or this round tests nothing
    ready.set_value();
    bool in_time = woken.wait_for(1s) == std::future_status::ready;
    happened = ticks >= chosen;  // it does not once the tick sleeps for want of requests
    if (happened && !in_time) in_time = woken.wait_for(9s) == std::future_status::ready;
    EXPECT_TRUE(in_time || !happened)
        << "forgotten in tick " << chosen << ", asleep: " << queue.tick_sleeps()
        << ", queued: " << queue.counters().queue_length;
    queue.stop();
  }
}

}  // namespace
}  // namespace prowingen
