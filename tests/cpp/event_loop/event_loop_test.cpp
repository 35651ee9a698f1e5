#include "event_loop/event_loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using Clock = EventLoop::Clock;

// A watched end of a pair of sockets.
class Peer final : public ReadyHandler {
 public:
  explicit Peer(EventLoop& loop) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    near = UniqueFd(ends[0]);
    far = UniqueFd(ends[1]);
    watch.emplace(loop, near.get(), *this);
  }
  void on_ready(Interest ready) override {
    ++events;
    last = ready;
    if (action) action();
  }
  void on_broken() override { ++breaks; }
  void send() const { EXPECT_EQ(::write(far.get(), "x", 1), 1); }
  void receive() const {
    std::array<char, 16> bytes{};
    EXPECT_GT(::read(near.get(), bytes.data(), bytes.size()), 0);
  }

  UniqueFd near;
  UniqueFd far;
  std::optional<EventLoop::Watch> watch;
  std::function<void()> action;
  int events = 0;
  int breaks = 0;
  Interest last = Interest::none;
};

TEST(EventLoop, TellsOfWhatIsWanted) {
  EventLoop loop;
  Peer peer(loop);
  peer.send();
  loop.turn(false);
  EXPECT_EQ(peer.events, 0);
  ASSERT_TRUE(peer.watch->want(Interest::read));
  loop.turn(false);
  EXPECT_EQ(peer.events, 1);
  EXPECT_EQ(peer.last, Interest::read);
  ASSERT_TRUE(peer.watch->want(Interest::both));
  loop.turn(false);
  EXPECT_EQ(peer.last, Interest::both);
}

TEST(EventLoop, TakesBackWhatIsNotWantedAnyMoreWithoutSpinning) {
  EventLoop loop;
  Peer peer(loop);
  ASSERT_TRUE(peer.watch->want(Interest::read));
  peer.send();
  ASSERT_TRUE(peer.watch->want(Interest::none));
  loop.turn(true);  // the event that nobody wants
  EventLoop::Timer timer(loop, [] {});
  const auto begin = Clock::now();
  timer.arm(begin + 20ms);
  loop.turn(true);  // sleeps, since the poller was told
  EXPECT_GE(Clock::now() - begin, 19ms);
  EXPECT_EQ(peer.events, 0);
  ASSERT_TRUE(peer.watch->want(Interest::read));
  loop.turn(true);
  EXPECT_EQ(peer.events, 1);
}

TEST(EventLoop, HangUpThatNobodyWantsIsToldOnceDoesNotSpinAndIsSeenLater) {
  EventLoop loop;
  Peer peer(loop);
  ASSERT_TRUE(peer.watch->want(Interest::read));
  ASSERT_TRUE(peer.watch->want(Interest::none));
  peer.far.reset();
  loop.turn(true);
  EventLoop::Timer timer(loop, [] {});
  const auto begin = Clock::now();
  timer.arm(begin + 20ms);
  loop.turn(true);
  EXPECT_GE(Clock::now() - begin, 19ms);
  EXPECT_EQ(peer.events, 0);
  EXPECT_EQ(peer.breaks, 1);
  ASSERT_TRUE(peer.watch->want(Interest::read));
  loop.turn(true);
  EXPECT_EQ(peer.events, 1);
}

TEST(EventLoop, EventForAWatchThatAnotherHandlerRemovedFindsNobody) {
  EventLoop loop;
  Peer first(loop);
  Peer second(loop);
  std::unique_ptr<Peer> successor;
  const auto remove_the_other = [&](Peer& other) {
    return [&] {
      if (successor) return;
      other.watch.reset();
      // Takes the place that has just become free.
      successor = std::make_unique<Peer>(loop);
      ASSERT_TRUE(successor->watch->want(Interest::read));
    };
  };
  first.action = remove_the_other(second);
  second.action = remove_the_other(first);
  for (Peer* peer : {&first, &second}) {
    ASSERT_TRUE(peer->watch->want(Interest::read));
    peer->send();
  }
  loop.turn(true);
  EXPECT_EQ(first.events + second.events, 1);
  ASSERT_TRUE(successor);
  EXPECT_EQ(successor->events, 0);
}

TEST(EventLoop, WatchMayEndInItsOwnHandler) {
  EventLoop loop;
  Peer peer(loop);
  peer.action = [&] { peer.watch.reset(); };
  ASSERT_TRUE(peer.watch->want(Interest::read));
  peer.send();
  loop.turn(true);
  loop.turn(false);
  EXPECT_EQ(peer.events, 1);
}

TEST(EventLoop, TimersRunInTheirTimeAndOnce) {
  EventLoop loop;
  int early = 0;
  int late = 0;
  EventLoop::Timer first(loop, [&] { ++early; });
  EventLoop::Timer second(loop, [&] { ++late; });
  const auto begin = Clock::now();
  first.arm(begin);
  second.arm(begin + 15ms);
  loop.turn(false);
  EXPECT_EQ(early, 1);
  EXPECT_EQ(late, 0);
  while (late == 0) loop.turn(true);
  EXPECT_GE(Clock::now() - begin, 15ms);
  EXPECT_EQ(early, 1);
  EXPECT_FALSE(second.armed());
  second.arm(Clock::now());
  second.cancel();
  loop.turn(false);
  EXPECT_EQ(late, 1);
}

TEST(EventLoop, WakeBeforeATurnIsNotLost) {
  EventLoop loop;
  loop.wake();
  const auto begin = Clock::now();
  loop.turn(true);
  EXPECT_LT(Clock::now() - begin, 10s);
}

// What a waker leaves before it wakes is always seen: the loop would sleep for an hour otherwise.
TEST(EventLoop, NoWakeIsLostUnderStress) {
  EventLoop loop;
  std::atomic<int> left{0};
  constexpr int count = 20'000;
  std::thread waker([&] {
    for (int i = 0; i < count; ++i) {
      left.fetch_add(1);
      loop.wake();
      while (left.load() > 2) std::this_thread::yield();
    }
  });
  int seen = 0;
  while (seen < count) {
    loop.turn(true);
    loop.acknowledge_wakes();
    seen += left.exchange(0);
  }
  waker.join();
  EXPECT_EQ(seen, count);
}

}  // namespace
}  // namespace prowingen
