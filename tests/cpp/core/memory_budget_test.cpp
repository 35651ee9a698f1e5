// The memory budget: what is charged, when it is full, what answers get of it, and its shortages.
#include "core/memory_budget.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace prowingen {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t mib = std::uint64_t{1024} * 1024;
const MemoryBudget::Time start{std::chrono::hours(1)};

TEST(MemoryCharge, IsFreeBelowAStep) {
  const auto budget = std::make_shared<MemoryBudget>(mib);
  MemoryCharge charge(budget.get());
  charge.set(MemoryCharge::step - 1);
  EXPECT_EQ(budget->used(), 0);
  charge.set(MemoryCharge::step);
  EXPECT_EQ(budget->used(), MemoryCharge::step);
}

TEST(MemoryCharge, FollowsWhatItsHolderSaysInSteps) {
  const auto budget = std::make_shared<MemoryBudget>(mib);
  MemoryCharge charge(budget.get());
  charge.set(100'000);
  EXPECT_EQ(budget->used(), 98'304);
  charge.set(20'000);
  EXPECT_EQ(budget->used(), 16'384);
  EXPECT_EQ(charge.bytes(), 16'384);
  charge.set(0);
  EXPECT_EQ(budget->used(), 0);
}

TEST(MemoryCharge, IsGivenBackByItsEnd) {
  const auto budget = std::make_shared<MemoryBudget>(mib);
  {
    MemoryCharge charge(budget.get());
    charge.set(mib);
    EXPECT_TRUE(budget->full());
  }
  EXPECT_EQ(budget->used(), 0);
}

TEST(MemoryCharge, OfNoBudgetCountsForItself) {
  MemoryCharge charge(nullptr);
  charge.set(10 * MemoryCharge::step);
  EXPECT_EQ(charge.bytes(), 10 * MemoryCharge::step);
}

TEST(BodyShare, IsBoundedOverAllBodies) {
  MemoryBudget budget(1024 * mib);
  BodyShare first(&budget);
  EXPECT_TRUE(first.grow_to(MemoryBudget::body_share / 2));
  {
    BodyShare second(&budget);
    EXPECT_TRUE(second.grow_to(MemoryBudget::body_share / 2));
    EXPECT_FALSE(first.grow_to(MemoryBudget::body_share / 2 + 1)) << "the other has it";
  }
  EXPECT_TRUE(first.grow_to(MemoryBudget::body_share)) << "it came back by the other's end";
  BodyShare taken_over(std::move(first));
  taken_over.release();
  EXPECT_TRUE(taken_over.empty());
  EXPECT_TRUE(BodyShare(&budget).grow_to(MemoryBudget::body_share));
}

TEST(BodyShare, IsAPartOfASmallBudgetAndNoneOfAFullOne) {
  MemoryBudget budget(8 * mib);
  BodyShare share(&budget);
  EXPECT_TRUE(share.grow_to(mib));
  EXPECT_FALSE(share.grow_to(mib + 1));
  share.release();
  MemoryCharge charge(&budget);
  charge.set(6 * mib);
  EXPECT_FALSE(share.grow_to(1)) << "memory is not roomy";
  EXPECT_FALSE(BodyShare().grow_to(1)) << "nobody counts";
}

TEST(MemoryBudget, AddsUpOverThreads) {
  const auto budget = std::make_shared<MemoryBudget>(mib);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      MemoryCharge charge(budget.get());
      for (std::uint64_t size = 0; size < 5000; ++size) charge.set(size * 1000 % (mib / 2));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(budget->used(), 0);
}

TEST(MemoryBudget, IsUrgentBeyondAnEighthMoreThanItIs) {
  const auto budget = std::make_shared<MemoryBudget>(mib);
  MemoryCharge charge(budget.get());
  charge.set(mib - MemoryCharge::step);
  EXPECT_FALSE(budget->full());
  charge.set(mib);
  EXPECT_TRUE(budget->full());
  EXPECT_FALSE(budget->urgent());
  charge.set(mib + mib / 8);
  EXPECT_TRUE(budget->urgent());
  EXPECT_EQ(budget->excess(), mib / 4) << "down to seven eighths";
}

TEST(MemoryBudget, LeavesAnswersLessTheFullerItIs) {
  const auto budget = std::make_shared<MemoryBudget>(64 * mib);
  MemoryCharge charge(budget.get());
  EXPECT_EQ(budget->answer_room(mib), mib);
  charge.set(46 * mib);
  EXPECT_EQ(budget->answer_room(mib), mib / 4);
  charge.set(64 * mib);
  EXPECT_EQ(budget->answer_room(mib), MemoryBudget::answer_floor) << "small ones always go out";
  EXPECT_EQ(budget->answer_room(1000), 1000) << "never more than was wanted";
}

TEST(MemoryBudget, SaysAShortageAndItsEndOnce) {
  const auto budget = std::make_shared<MemoryBudget>(mib);
  EXPECT_EQ(budget->note_relief(start), std::nullopt) << "there was none";
  EXPECT_TRUE(budget->note_shortage(start));
  EXPECT_FALSE(budget->note_shortage(start + 1s));
  budget->count_cut();
  budget->count_cut();
  EXPECT_EQ(budget->note_relief(start + 2s), std::nullopt) << "it may come back at once";
  EXPECT_EQ(budget->note_relief(start + 7s), 2);
  EXPECT_EQ(budget->note_relief(start + 8s), std::nullopt);
  EXPECT_TRUE(budget->note_shortage(start + 9s));
  EXPECT_EQ(budget->note_relief(start + 20s), 0) << "counted anew";
  EXPECT_EQ(budget->counters().shortages, 2);
  EXPECT_EQ(budget->counters().cut, 2);
}

TEST(MemoryBudget, FindsNoReliefWhileItIsFull) {
  const auto budget = std::make_shared<MemoryBudget>(mib);
  MemoryCharge charge(budget.get());
  charge.set(mib);
  budget->note_shortage(start);
  EXPECT_EQ(budget->note_relief(start + 60s), std::nullopt);
  charge.set(0);
  EXPECT_EQ(budget->note_relief(start + 61s), 0);
}

TEST(MemoryBudget, TellsItsFiguresToAnAdministrator) {
  const auto budget = std::make_shared<MemoryBudget>(3 * mib);
  MemoryCharge charge(budget.get());
  charge.set(3 * mib);
  EXPECT_NE(describe_shortage(*budget).find("3 MiB of 3 MiB"), std::string::npos);
  charge.set(8192);
  EXPECT_NE(describe_relief(*budget, 7).find("8 KiB of 3 MiB"), std::string::npos);
}

TEST(MemoryBudget, KnowsWhatOtherThreadsHoldersCostAsLongAsThatIsNew) {
  MemoryBudget budget(mib);
  const auto here = budget.add_watch();
  EXPECT_EQ(budget.costliest_of_others(here, start), 0) << "there are none";
  const auto there = budget.add_watch();
  EXPECT_EQ(budget.costliest_of_others(here, start), std::nullopt) << "not looked yet";
  budget.note_costliest(there, 7, start);
  budget.note_costliest(here, 9, start);
  EXPECT_EQ(budget.costliest_of_others(here, start + 100ms), 7);
  EXPECT_EQ(budget.costliest_of_others(there, start + 100ms), 9);
  EXPECT_EQ(budget.costliest_of_others(here, start + 1s), std::nullopt);
}

}  // namespace
}  // namespace prowingen
