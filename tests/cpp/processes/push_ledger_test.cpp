#include "processes/push_ledger.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <vector>

namespace prowingen {
namespace {

using Clock = PushLedger::Clock;
using Sent = PushLedger::Sent;

Tally::Sum sum_of(std::uint64_t value) {
  Tally::Sum sum{};
  sum.fill(value);
  return sum;
}

// What another process says of it, as its exit code; 99: it was killed.
int in_another(const std::function<int()>& does) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(does());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

class PushLedgerTest : public ::testing::Test {
 protected:
  std::vector<std::string> push(std::uint64_t value, const std::vector<std::string>& datagrams) {
    EXPECT_EQ(ledger_.begin_push(sum_of(value), datagrams, now_), 0U);
    return rest();
  }

  std::vector<std::string> rest() {
    std::vector<std::string> sent;
    EXPECT_TRUE(ledger_.send([&](std::string_view datagram) {
      sent.emplace_back(datagram);
      return Sent::sent;
    }));
    return sent;
  }

  PushLedger ledger_;
  Clock::time_point now_ = Clock::now();
};

TEST_F(PushLedgerTest, RemembersWhatWasPushed) {
  ASSERT_TRUE(ledger_.take(now_));
  EXPECT_EQ(ledger_.last_push(), Clock::time_point());
  EXPECT_EQ(ledger_.pushed(), sum_of(0));
  EXPECT_EQ(push(1, {"a", "bc"}), (std::vector<std::string>{"a", "bc"}));
  EXPECT_EQ(ledger_.pushed(), sum_of(1));
  EXPECT_EQ(push(2, {}), (std::vector<std::string>{}));
  EXPECT_EQ(push(3, {"def"}), (std::vector<std::string>{"def"}));
  EXPECT_EQ(ledger_.pushed(), sum_of(3));
  EXPECT_EQ(ledger_.last_push(), now_);
  EXPECT_FALSE(ledger_.unsent());
}

TEST_F(PushLedgerTest, IsHeldByOne) {
  ASSERT_TRUE(ledger_.take(now_));
  const auto held = [this] { return ledger_.take(now_) ? 1 : 0; };
  EXPECT_EQ(in_another(held), 0);
  ledger_.give_up();
  EXPECT_EQ(in_another(held), 1);
  // That one has ended.
  EXPECT_TRUE(ledger_.take(now_));
}

TEST_F(PushLedgerTest, IsTakenFromWhoWasStoppedForLong) {
  ASSERT_TRUE(ledger_.take(now_));
  EXPECT_EQ(in_another([this] { return ledger_.take(now_ + PushLedger::stale) ? 1 : 0; }), 0);
  const std::vector<std::string> datagrams{"a", "b"};
  // It comes back in the middle of a push, and changes nothing any more.
  EXPECT_EQ(ledger_.begin_push(sum_of(1), datagrams, now_), 0U);
  std::vector<std::string> sent;
  EXPECT_FALSE(ledger_.send([&](std::string_view datagram) {
    sent.emplace_back(datagram);
    EXPECT_EQ(in_another([this] {
                const auto later = now_ + PushLedger::stale + std::chrono::seconds(1);
                if (!ledger_.take(later)) return 1;
                std::string rest;
                ledger_.send([&](std::string_view each) {
                  rest.append(each);
                  return Sent::sent;
                });
                return rest == "b" ? 0 : 2;
              }),
              0);
    return Sent::not_now;
  }));
  EXPECT_EQ(sent, (std::vector<std::string>{"a"}));
  EXPECT_EQ(ledger_.begin_push(sum_of(2), datagrams, now_), 2U) << "it is another's";
  EXPECT_EQ(ledger_.pushed(), sum_of(1));
  ASSERT_TRUE(ledger_.take(now_));
  EXPECT_FALSE(ledger_.unsent());
}

TEST_F(PushLedgerTest, LeavesTheRestToTheNext) {
  const auto is_killed_at_the_second = [this] {
    if (!ledger_.take(now_)) return 1;
    const std::vector<std::string> datagrams{"a", "b", "c"};
    ledger_.begin_push(sum_of(5), datagrams, now_);
    ledger_.send([](std::string_view datagram) {
      if (datagram == "b") ::raise(SIGKILL);
      return Sent::sent;
    });
    return 2;
  };
  EXPECT_EQ(in_another(is_killed_at_the_second), 99);
  ASSERT_TRUE(ledger_.take(now_));
  EXPECT_TRUE(ledger_.unsent());
  EXPECT_EQ(ledger_.pushed(), sum_of(5)) << "the next difference begins there";
  // Nobody knows whether that one went; it must not come twice.
  EXPECT_EQ(rest(), (std::vector<std::string>{"c"}));
}

TEST_F(PushLedgerTest, IsAsBeforeIfItsHolderEndsBeforeAPush) {
  EXPECT_EQ(in_another([this] { return ledger_.take(now_) ? 0 : 1; }), 0);
  ASSERT_TRUE(ledger_.take(now_));
  EXPECT_EQ(ledger_.pushed(), sum_of(0));
  EXPECT_FALSE(ledger_.unsent());
}

TEST_F(PushLedgerTest, KeepsWhatCannotBeSentNow) {
  ASSERT_TRUE(ledger_.take(now_));
  const std::vector<std::string> datagrams{"a", "too large", "c", "d"};
  EXPECT_EQ(ledger_.begin_push(sum_of(1), datagrams, now_), 0U);
  std::vector<std::string> sent;
  EXPECT_FALSE(ledger_.send([&](std::string_view datagram) {
    if (datagram == "c") return Sent::not_now;
    if (datagram == "too large") return Sent::never;
    sent.emplace_back(datagram);
    return Sent::sent;
  }));
  EXPECT_EQ(sent, (std::vector<std::string>{"a"}));
  EXPECT_EQ(ledger_.begin_push(sum_of(2), datagrams, now_), 4U) << "there is a rest";
  EXPECT_EQ(rest(), (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(push(2, {"e"}), (std::vector<std::string>{"e"}));
}

TEST_F(PushLedgerTest, SaysHowManyItHasNoRoomFor) {
  ASSERT_TRUE(ledger_.take(now_));
  const std::vector<std::string> datagrams(10, std::string(1 << 20, 'x'));
  EXPECT_EQ(ledger_.begin_push(sum_of(1), datagrams, now_), 6U);
  EXPECT_EQ(rest().size(), 4U);
  const std::vector<std::string> many(9000, "x");
  EXPECT_EQ(ledger_.begin_push(sum_of(1), many, now_), 808U);
  EXPECT_EQ(rest().size(), 8192U);
}

TEST_F(PushLedgerTest, TellsThatOthersHaveLeft) {
  const auto before = ledger_.left();
  EXPECT_EQ(in_another([this] {
              ledger_.leave();
              return 0;
            }),
            0);
  EXPECT_NE(ledger_.left(), before);
}

}  // namespace
}  // namespace prowingen
