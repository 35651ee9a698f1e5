// Who waits for memory: once, in order, and no longer than there is none.
#include "core/memory_waiters.h"

#include <gtest/gtest.h>

#include <vector>

namespace prowingen {
namespace {

struct Waiter {
  explicit Waiter(int named) : name(named) {}
  int name;
  bool in_memory_queue = false;
};

class MemoryWaitersTest : public testing::Test {
 protected:
  static constexpr std::size_t limit = 4 * MemoryCharge::step;

  std::vector<int> resume() {
    std::vector<int> resumed;
    waiters.resume(budget, [&](Waiter& waiter) { resumed.push_back(waiter.name); });
    return resumed;
  }

  MemoryBudget budget{limit};
  MemoryCharge others{&budget};
  MemoryWaiters<Waiter> waiters;
  std::shared_ptr<Waiter> first = std::make_shared<Waiter>(1);
  std::shared_ptr<Waiter> second = std::make_shared<Waiter>(2);
};

TEST_F(MemoryWaitersTest, GoOnWhenThereIsRoom) {
  others.set(limit);
  waiters.add(first);
  waiters.add(second);
  EXPECT_EQ(resume(), std::vector<int>());
  others.set(0);
  EXPECT_EQ(resume(), (std::vector<int>{1, 2}));
  EXPECT_EQ(resume(), std::vector<int>());
  EXPECT_EQ(first.use_count(), 1) << "what has gone on is not kept";
}

TEST_F(MemoryWaitersTest, AreThereOnceHoweverOftenTheyAreStopped) {
  for (int i = 0; i < 3; ++i) waiters.add(first);
  EXPECT_EQ(first.use_count(), 2);
  EXPECT_EQ(resume(), std::vector<int>{1});
  waiters.add(first);
  EXPECT_EQ(resume(), std::vector<int>{1});
}

TEST_F(MemoryWaitersTest, WaitOnBehindOneThatTakesTheRoom) {
  waiters.add(first);
  waiters.add(second);
  std::vector<int> resumed;
  waiters.resume(budget, [&](Waiter& waiter) {
    resumed.push_back(waiter.name);
    others.set(limit);
    waiters.add(first);
  });
  EXPECT_EQ(resumed, std::vector<int>{1});
  others.set(0);
  EXPECT_EQ(resume(), (std::vector<int>{1, 2}));
}

}  // namespace
}  // namespace prowingen
