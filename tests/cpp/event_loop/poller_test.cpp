// One contract for every poller that builds here.
#include "event_loop/poller.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <vector>

namespace prowingen {
namespace {

using namespace std::chrono_literals;

struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    near = UniqueFd(ends[0]);
    far = UniqueFd(ends[1]);
  }
  void send() const { EXPECT_EQ(::write(far.get(), "x", 1), 1); }
  UniqueFd near;
  UniqueFd far;
};

template <typename P>
class PollerTest : public testing::Test {
 protected:
  std::vector<std::uint64_t> ready_keys(std::chrono::nanoseconds timeout = 0ns) {
    std::vector<std::uint64_t> keys;
    for (const auto& event : poller.wait(timeout)) keys.push_back(event.key);
    std::ranges::sort(keys);
    return keys;
  }
  P poller;
};

#if defined(__linux__)
using Pollers = testing::Types<EpollPoller, PollPoller>;
#else
using Pollers = testing::Types<PollPoller>;
#endif
TYPED_TEST_SUITE(PollerTest, Pollers);

using Keys = std::vector<std::uint64_t>;

TYPED_TEST(PollerTest, ReportsWhatIsReadyUntilItIsNot) {
  const Pair pair;
  ASSERT_TRUE(this->poller.add(pair.near.get(), Interest::read, 7));
  EXPECT_EQ(this->ready_keys(), Keys{});
  pair.send();
  for (int i = 0; i < 2; ++i) {
    const auto events = this->poller.wait(0ns);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].key, 7U);
    EXPECT_EQ(events[0].ready, Interest::read);
    EXPECT_FALSE(events[0].failed);
  }
  char byte;
  ASSERT_EQ(::read(pair.near.get(), &byte, 1), 1);
  EXPECT_EQ(this->ready_keys(), Keys{});
}

TYPED_TEST(PollerTest, WatchesForWhatItWasLastTold) {
  const Pair pair;
  pair.send();
  ASSERT_TRUE(this->poller.add(pair.near.get(), Interest::none, 1));
  EXPECT_EQ(this->ready_keys(), Keys{});
  ASSERT_TRUE(this->poller.change(pair.near.get(), Interest::both, 2));
  const auto events = this->poller.wait(0ns);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].key, 2U);
  EXPECT_EQ(events[0].ready, Interest::both);
}

TYPED_TEST(PollerTest, ForgetsWhatIsRemovedAndKeepsTheRest) {
  const std::array<Pair, 3> pairs;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    ASSERT_TRUE(this->poller.add(pairs[i].near.get(), Interest::read, i));
    pairs[i].send();
  }
  EXPECT_EQ(this->ready_keys(), (Keys{0, 1, 2}));
  this->poller.remove(pairs[0].near.get());
  EXPECT_EQ(this->ready_keys(), (Keys{1, 2}));
  this->poller.remove(pairs[2].near.get());
  EXPECT_EQ(this->ready_keys(), (Keys{1}));
  ASSERT_TRUE(this->poller.add(pairs[0].near.get(), Interest::read, 9));
  EXPECT_EQ(this->ready_keys(), (Keys{1, 9}));
}

TYPED_TEST(PollerTest, TellsOfAHangUpThatNobodyWatchesFor) {
  Pair pair;
  ASSERT_TRUE(this->poller.add(pair.near.get(), Interest::none, 3));
  pair.far.reset();
  const auto events = this->poller.wait(0ns);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_TRUE(events[0].failed);
}

TYPED_TEST(PollerTest, WaitEndsAtItsTimeout) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(this->ready_keys(20ms), Keys{});
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 19ms);
}

TYPED_TEST(PollerTest, WakeEndsTheNextWaitAndOnlyThatOne) {
  for (int i = 0; i < 3; ++i) {
    this->poller.wake();
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(this->ready_keys(10s), Keys{});
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(this->ready_keys(20ms), Keys{});
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 19ms);
}

TYPED_TEST(PollerTest, WakeEndsAWaitUnderWay) {
  std::thread waker([this] { this->poller.wake(); });
  EXPECT_EQ(this->ready_keys(10s), Keys{});
  waker.join();
}

}  // namespace
}  // namespace prowingen
