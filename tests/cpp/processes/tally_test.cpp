#include "processes/tally.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

namespace prowingen {
namespace {

using namespace std::chrono_literals;

TEST(Tally, FiguresHaveTheirOwnCells) {
  std::vector<std::size_t> cells{cells::bytes_received,
                                 cells::bytes_sent,
                                 cells::request(9, 3, 5),
                                 cells::duration.first,
                                 cells::duration.sum(),
                                 cells::application.first,
                                 cells::queue_wait.first,
                                 cells::gil_wait.first,
                                 cells::gil_wait.sum(),
                                 cells::causes_at + counted_causes.size() - 1,
                                 cells::ends_at + worker_ends.size() - 1,
                                 cells::carried(Carried::connections_accepted),
                                 cells::carried(Carried::system_cpu_ns),
                                 cells::response(100),
                                 cells::response(599),
                                 cells::refusal(100),
                                 cells::refusal(599)};
  Tally tally;
  for (const auto cell : cells) tally.of_workers().add(cell);
  const auto sum = tally.sum();
  for (const auto cell : cells) EXPECT_EQ(sum[cell], 1U) << cell;
  EXPECT_EQ(cells::refusal(599), cells::count - 1);
  EXPECT_EQ(static_cast<std::size_t>(Carried::tls_failures) + 1, carried_figures);
}

TEST(Tally, ABoundBelongsToItsBucket) {
  Tally tally;
  auto& stripe = tally.of_io_thread();
  for (const auto value : {-5ns, 0ns, 1'000'000ns}) stripe.add(cells::duration, value);
  stripe.add(cells::duration, 1'000'001ns);
  stripe.add(cells::duration, 2h);
  const auto sum = tally.sum();
  EXPECT_EQ(sum[cells::duration.first], 3U);
  EXPECT_EQ(sum[cells::duration.first + 1], 1U);
  EXPECT_EQ(sum[cells::duration.first + cells::duration.bounds.size()], 1U);
  EXPECT_EQ(sum[cells::duration.sum()], 2'000'001U + 7'200'000'000'000U);
}

TEST(Tally, ThreadsOfOneProcessLoseNothing) {
  Tally tally;
  std::vector<std::thread> threads;
  for (int i = 0; i < 70; ++i) {  // more than there are stripes
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) tally.of_io_thread().add(cells::bytes_sent, 3);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(tally.sum()[cells::bytes_sent], 70U * 1000 * 3);
}

TEST(Tally, WhatAProcessHasCountedStaysHoweverItEnds) {
  Tally tally;
  for (std::size_t number = 1; number <= 3; ++number) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      tally.set_process(number % 2);  // the third has the first one's place
      for (int i = 0; i < 1000; ++i) tally.of_io_thread().add(cells::response(200));
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(tally.sum()[cells::response(200)], 1000 * number);
  }
}

TEST(Carrier, AddsWhatHasComeSince) {
  Tally tally;
  Carrier first(tally);
  Carrier second(tally);
  const auto of = [](std::uint64_t count) {
    Carrier::Figures figures{};
    figures[static_cast<std::size_t>(Carried::requests_rejected)] = count;
    return figures;
  };
  const auto carried = [&] { return tally.sum()[cells::carried(Carried::requests_rejected)]; };
  first.carry([&] { return of(5); });
  first.carry([&] { return of(5); });
  EXPECT_EQ(carried(), 5U);
  first.carry([&] { return of(7); });
  second.carry([&] { return of(2); });
  EXPECT_EQ(carried(), 9U);
  first.carry([&] { return of(0); });  // it was not known just then
  EXPECT_EQ(carried(), 9U);
  first.carry([&] { return of(8); });
  EXPECT_EQ(carried(), 10U);
}

}  // namespace
}  // namespace prowingen
