// Who has the turn at the sockets: an I/O thread that lends it, and workers that take it.
#include "core/lead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace prowingen {
namespace {

using namespace std::chrono_literals;

const auto nothing_else = [] { return true; };

// In the sockets' place: a turn waits for interrupt(), as one does to which nothing comes.
class Sockets {
 public:
  void wait(std::optional<Lead::Time> until) {
    std::unique_lock lock(mutex_);
    ++turns_;
    changed_.notify_all();
    const auto ended = [this] { return interrupted_; };
    until ? (void)changed_.wait_until(lock, *until, ended) : changed_.wait(lock, ended);
    interrupted_ = false;
  }
  void interrupt() {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
    ++interrupts_;
    changed_.notify_all();
  }
  void await_turn(int number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return turns_ >= number; });
  }
  int interrupts() {
    const std::lock_guard lock(mutex_);
    return interrupts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool interrupted_ = false;
  int turns_ = 0;
  int interrupts_ = 0;
};

class LeadTest : public testing::Test {
 protected:
  // An I/O thread that lends what it has, and does so again until it was taken: on a busy machine
  // nobody may come in time.
  std::future<void> lend_until_taken() {
    return std::async(std::launch::async, [this] {
      lead_.attend();
      do {
        lead_.lend();
      } while (!taken_);
      lead_.leave();
    });
  }
  // A worker that takes it at last.
  template <typename Idle>
  void take_turn(std::optional<Lead::Time> until, const Idle& idle) {
    const auto taking = [&] {
      taken_ = true;
      return idle();
    };
    while (!lead_.take_turn(until, taking)) std::this_thread::yield();
    lead_.end_turns();
  }

  std::atomic<bool> taken_{false};
  Sockets sockets_;
  Lead lead_{[this](std::optional<Lead::Time> until) { sockets_.wait(until); },
             [this] { sockets_.interrupt(); }};
};

TEST_F(LeadTest, NobodyTakesWhatIsNotLent) {
  lead_.attend();
  EXPECT_FALSE(lead_.take_turn(std::nullopt, nothing_else));
  lead_.leave();
  EXPECT_FALSE(lead_.asked());
  lead_.ask();
  EXPECT_TRUE(lead_.asked());
}

TEST_F(LeadTest, WhatNobodyTakesComesBack) {
  lead_.ask();
  lead_.attend();
  lead_.lend();
  lead_.leave();
  EXPECT_FALSE(lead_.is_lent());
  EXPECT_FALSE(lead_.asked()) << "it is asked for anew each time";
}

TEST_F(LeadTest, ATurnMayLastForAsLongAsItTakes) {
  auto lent = lend_until_taken();
  auto turn = std::async(std::launch::async, [this] { take_turn(std::nullopt, nothing_else); });
  sockets_.await_turn(1);
  EXPECT_EQ(lent.wait_for(20 * Lead::patience), std::future_status::timeout);
  EXPECT_FALSE(lead_.take_turn(std::nullopt, nothing_else)) << "one at a time";
  lead_.wake();
  turn.get();
  lent.get();  // as the worker goes to work, and nobody else takes one
}

TEST_F(LeadTest, ATurnEndsWhenItsTimeHasCome) {
  auto lent = lend_until_taken();
  const auto until = std::chrono::steady_clock::now() + 5ms;
  take_turn(until, nothing_else);
  EXPECT_GE(std::chrono::steady_clock::now(), until);
  lent.get();
}

TEST_F(LeadTest, WhoeverHasSomethingElseToDoTakesNone) {
  const auto busy = [] { return false; };
  auto lent = lend_until_taken();
  take_turn(std::nullopt, busy);  // nor need they wait in another way
  lent.get();
  EXPECT_EQ(sockets_.interrupts(), 0);
}

TEST_F(LeadTest, WhoIsAwakeInItsOwnTurnIsNotWoken) {
  auto lent = lend_until_taken();
  take_turn(std::chrono::steady_clock::now(), [this] {
    lead_.wake();
    return true;
  });
  lent.get();
  EXPECT_EQ(sockets_.interrupts(), 0);
  lead_.wake();
  EXPECT_EQ(sockets_.interrupts(), 1) << "nobody has a turn: the next one does not wait";
}

TEST_F(LeadTest, WhoTellsItselfBeforeItsWaitKnowsThat) {
  Lead* self = nullptr;
  std::vector<bool> told;
  Lead lead(
      [&](std::optional<Lead::Time>) {
        told.push_back(self->told_itself());
        if (told.size() == 1) self->wake();
        told.push_back(self->told_itself());
      },
      [] {});
  self = &lead;
  std::atomic<bool> done{false};
  std::thread io_thread([&] {
    lead.attend();
    while (!done) lead.lend();
    lead.leave();
  });
  for (int taken = 0; taken < 2;) taken += lead.take_turn(std::nullopt, nothing_else);
  done = true;
  io_thread.join();
  EXPECT_EQ(told, (std::vector<bool>{false, true, false, false}));
}

// Though turns are taken all the time: whoever calls has something to do between two of its own.
TEST_F(LeadTest, WhoeverIsCalledTakesItBack) {
  Lead lead([](std::optional<Lead::Time>) {}, [] {});
  auto lent = std::async(std::launch::async, [&] {
    lead.attend();
    lead.lend();
    lead.leave();
  });
  while (!lead.is_lent() && lent.wait_for(0s) != std::future_status::ready) {
    std::this_thread::yield();
  }
  int turns = 0;
  while (lead.take_turn(std::nullopt, nothing_else)) {
    lead.end_turns();
    lead.call();
    ++turns;
  }
  lent.get();
  EXPECT_LT(turns, 10'000'000);
}

TEST_F(LeadTest, WhatIsReclaimedComesBackAtOnce) {
  auto lent = lend_until_taken();
  auto turn = std::async(std::launch::async, [this] { take_turn(std::nullopt, nothing_else); });
  sockets_.await_turn(1);
  lead_.reclaim();
  turn.get();
  lent.get();
  EXPECT_FALSE(lead_.take_turn(std::nullopt, nothing_else));
}

TEST_F(LeadTest, TurnsOfManyWorkersDoNotOverlap) {
  std::atomic<int> at_once{0};
  std::atomic<int> most{0};
  int turns = 0;  // guarded by the lead alone
  Lead lead(
      [&](std::optional<Lead::Time>) {
        most = std::max(most.load(), ++at_once);
        ++turns;
        --at_once;
      },
      [] {});
  std::atomic<bool> done{false};
  std::thread io_thread([&] {
    lead.attend();
    while (!done) lead.lend();
    lead.leave();
  });
  std::vector<std::thread> workers;
  workers.reserve(4);
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      for (int taken = 0; taken < 2000;) {
        taken += lead.take_turn(std::nullopt, nothing_else);
        lead.end_turns();
      }
    });
  }
  for (auto& worker : workers) worker.join();
  done = true;
  io_thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_GE(turns, 8000);
}

}  // namespace
}  // namespace prowingen
