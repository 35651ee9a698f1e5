// Watchers are told the same, each as far as it takes it; and nothing is made for nobody.
#include "admin/watchers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "no_transport.h"

namespace prowingen::admin {
namespace {

using namespace std::chrono_literals;

NoTransport no_transport;

std::shared_ptr<Exchange> watcher() {
  auto exchange = std::make_shared<Exchange>(no_transport);
  exchange->request.set_request_line("GET", "/-/events", {1, 1});
  exchange->submit();
  EXPECT_TRUE(exchange->take());
  exchange->response.status = 200;
  return exchange;
}

// What an engine would send.
std::string taken(Exchange& exchange) {
  Exchange::Output output;
  exchange.take_output(output);
  std::string text;
  for (Chunk& chunk : output.chunks) text += *chunk.own();
  return text;
}

class Told {
 public:
  Watchers::Tells tells(std::size_t size = 1) {
    return {[] { return std::string("server "); },
            [this, size] {
              ++figures;
              return "figures " + std::string(size, ' ');
            },
            [this] {
              ++slowest;
              return std::string("slowest ");
            }};
  }
  // As many more rounds as that.
  void wait(unsigned rounds) const {
    const unsigned until = figures + rounds;
    while (figures < until) std::this_thread::sleep_for(1ms);
  }
  std::atomic<unsigned> figures = 0;
  std::atomic<unsigned> slowest = 0;
};

TEST(Watchers, NothingIsMadeForNobody) {
  Told told;
  {
    Watchers watchers(told.tells());
    const auto left = watcher();
    ASSERT_TRUE(watchers.add(left));
    told.wait(1);
    left->depart(Departure::client_closed);
    told.wait(1);  // with which it is found out
    std::this_thread::sleep_for(3 * Watchers::interval);
    const unsigned before = told.figures;
    std::this_thread::sleep_for(3 * Watchers::interval);
    EXPECT_EQ(told.figures, before);
  }
}

TEST(Watchers, EachIsToldWhatTheServerIsAndThenTheSame) {
  Told told;
  Watchers watchers(told.tells());
  const auto one = watcher();
  const auto other = watcher();
  ASSERT_TRUE(watchers.add(one));
  told.wait(2);
  ASSERT_TRUE(watchers.add(other));
  told.wait(2);
  EXPECT_TRUE(taken(*one).starts_with("server figures  slowest "));
  EXPECT_TRUE(taken(*other).starts_with("server figures  slowest ")) << "new ones are told at once";
}

TEST(Watchers, OneThatTakesNothingIsBoundedAndHoldsNobodyUp) {
  Told told;
  Watchers watchers(told.tells(Watchers::high_water / 2));
  const auto slow = watcher();
  const auto quick = watcher();
  ASSERT_TRUE(watchers.add(slow));
  ASSERT_TRUE(watchers.add(quick));
  std::size_t told_quick = 0;
  for (int round = 0; round < 8; ++round) {
    told.wait(1);
    told_quick += taken(*quick).size();
  }
  EXPECT_GT(told_quick, 3 * Watchers::high_water);
  EXPECT_LT(taken(*slow).size(), 2 * Watchers::high_water);
  told.wait(2);
  EXPECT_GT(taken(*slow).size(), Watchers::high_water / 2)
      << "it is told on when it has taken that";
}

TEST(Watchers, ThereIsRoomForSome) {
  Told told;
  Watchers watchers(told.tells());
  std::vector<std::shared_ptr<Exchange>> all;
  for (std::size_t i = 0; i < Watchers::most; ++i) {
    all.push_back(watcher());
    ASSERT_TRUE(watchers.add(all.back()));
  }
  EXPECT_FALSE(watchers.add(watcher()));
  all[3]->depart(Departure::client_closed);
  told.wait(2);
  EXPECT_TRUE(watchers.add(watcher()));
}

TEST(Watchers, AnEndIsOneForAllOfThem) {
  Told told;
  Watchers watchers(told.tells(Watchers::high_water));
  const auto quick = watcher();
  const auto slow = watcher();
  ASSERT_TRUE(watchers.add(quick));
  ASSERT_TRUE(watchers.add(slow));
  told.wait(2);
  taken(*quick);
  watchers.end();
  EXPECT_EQ(quick->state(), ExchangeState::finished);
  EXPECT_EQ(slow->state(), ExchangeState::aborted)
      << "its end would wait for what it does not read";
  EXPECT_FALSE(watchers.add(watcher()));
}

TEST(Watchers, AfterAStopNothingIsCalled) {
  Told told;
  Watchers watchers(told.tells());
  const auto one = watcher();
  ASSERT_TRUE(watchers.add(one));
  told.wait(1);
  watchers.stop();
  const unsigned before = told.figures;
  std::this_thread::sleep_for(2 * Watchers::interval);
  EXPECT_EQ(told.figures, before);
  EXPECT_FALSE(watchers.add(watcher()));
  watchers.stop();
}

}  // namespace
}  // namespace prowingen::admin
