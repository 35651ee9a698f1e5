// An answer on its way from the worker to the I/O thread: merging, back-pressure, wake-ups, aborts.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/engine.h"
#include "core/exchange.h"

namespace prowingen {
namespace {

using namespace std::literals;
using Push = Exchange::Push;

constexpr std::size_t high_water = 100;
// As in exchange.cpp: texts are merged up to this size.
constexpr std::size_t merge_limit = 16 * 1024;

class RecordingTransport final : public Transport {
 public:
  void output_ready(std::shared_ptr<Exchange>, bool more_soon) override {
    const std::lock_guard lock(mutex_);
    signals_.push_back(more_soon);
    changed_.notify_all();
  }
  void body_wanted(std::shared_ptr<Exchange>) override {}
  void client_doubted(std::shared_ptr<Exchange>) override {}
  void flush() override { ++flushes; }

  // For each signal so far, whether more was to come soon.
  std::vector<bool> signals() const {
    const std::lock_guard lock(mutex_);
    return signals_;
  }
  void await_signals(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return signals_.size() >= count; });
  }
  int flushes = 0;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> signals_;
};

struct Lender {
  std::string bytes;
  int releases = 0;
  Chunk lend() {
    return Chunk(
        BorrowedBytes(bytes, this, [](void* self) { ++static_cast<Lender*>(self)->releases; }));
  }
};

class ExchangeOutput : public testing::Test {
 protected:
  ExchangeOutput() {
    exchange->submit();
    EXPECT_TRUE(exchange->take());
  }

  Push push(std::string text, bool last = false) {
    return exchange->push(Chunk(std::move(text)), high_water, last);
  }
  Exchange::Output take() {
    Exchange::Output output;
    exchange->take_output(output);
    return output;
  }
  static std::string text_of(Exchange::Output& output) {
    std::string all;
    for (auto& chunk : output.chunks) all += *chunk.own();
    return all;
  }

  RecordingTransport transport;
  std::shared_ptr<Exchange> exchange = std::make_shared<Exchange>(transport);
};

TEST_F(ExchangeOutput, HeadGoesOutOnceBeforeTheFirstChunk) {
  EXPECT_EQ(push("one"), Push::ok);
  auto output = take();
  EXPECT_TRUE(output.head);
  EXPECT_FALSE(output.finished);
  EXPECT_EQ(text_of(output), "one");
  EXPECT_EQ(push("two", true), Push::ok);
  output = take();
  EXPECT_FALSE(output.head);
  EXPECT_TRUE(output.finished);
  EXPECT_EQ(text_of(output), "two");
}

TEST_F(ExchangeOutput, HeadMayGoOutAlone) {
  EXPECT_EQ(exchange->push({}, high_water, false), Push::ok);
  const auto output = take();
  EXPECT_TRUE(output.head);
  EXPECT_TRUE(output.chunks.empty());
}

TEST_F(ExchangeOutput, InterimAnswersGoOutBeforeTheHead) {
  const auto hint = [](std::string_view value) {
    ResponseHead head;
    head.status = 103;
    head.add_field("X", value);
    return head;
  };
  EXPECT_EQ(exchange->inform(hint("1"), high_water), Push::ok);
  auto output = take();
  ASSERT_EQ(output.interim.size(), 1U);
  EXPECT_EQ(output.interim[0].wire(), "X: 1\r\n");
  EXPECT_FALSE(output.head);
  EXPECT_EQ(exchange->inform(hint("2"), high_water), Push::ok);
  EXPECT_EQ(exchange->inform(hint("3"), high_water), Push::ok);
  EXPECT_EQ(push("body"), Push::ok);
  EXPECT_EQ(transport.signals(), (std::vector{false, false})) << "one each time it is taken";
  output.clear();
  exchange->take_output(output);
  EXPECT_EQ(output.interim.size(), 2U);
  EXPECT_TRUE(output.head);
  EXPECT_EQ(text_of(output), "body");
}

TEST_F(ExchangeOutput, InterimAnswersFillItUpAsABodyDoes) {
  ResponseHead head;
  head.add_field("X", std::string(high_water, 'y'));
  const auto idle = exchange->memory_charged();
  EXPECT_EQ(exchange->inform(head, high_water), Push::full);
  take();
  EXPECT_EQ(exchange->wait_writable(), Push::ok);
  EXPECT_EQ(exchange->memory_charged(), idle);
  EXPECT_EQ(exchange->inform(head, high_water), Push::full);
  exchange->depart(Departure::client_closed);
  EXPECT_EQ(exchange->inform(head, high_water), Push::departed);
  EXPECT_TRUE(take().interim.empty());
}

TEST_F(ExchangeOutput, NothingPushedMeansNothingToTake) {
  const auto output = take();
  EXPECT_FALSE(output.head || output.finished || output.aborted);
  EXPECT_TRUE(output.chunks.empty());
}

TEST_F(ExchangeOutput, IsTakenOnce) {
  push("once");
  take();
  const auto output = take();
  EXPECT_FALSE(output.head);
  EXPECT_TRUE(output.chunks.empty());
}

TEST_F(ExchangeOutput, SmallTextsAreMerged) {
  for (const auto* text : {"a", "b", "c"}) push(text);
  auto output = take();
  ASSERT_EQ(output.chunks.size(), 1U);
  EXPECT_EQ(text_of(output), "abc");
}

TEST_F(ExchangeOutput, MergingStopsAtItsLimit) {
  push(std::string(merge_limit - 1, 'a'));
  push("b");
  push("c");
  auto output = take();
  ASSERT_EQ(output.chunks.size(), 2U);
  EXPECT_EQ(output.chunks[0].size(), merge_limit);
  EXPECT_EQ(*output.chunks[1].own(), "c");
}

TEST_F(ExchangeOutput, NothingIsMergedPastABorrowedPiece) {
  Lender lender{"-"};
  push("a");
  exchange->push(lender.lend(), high_water, false);
  push("b");
  auto output = take();
  ASSERT_EQ(output.chunks.size(), 3U);
  EXPECT_EQ(*output.chunks[0].own(), "a");
  EXPECT_EQ(output.chunks[1].borrowed()->view(), "-");
  EXPECT_EQ(*output.chunks[2].own(), "b");
}

TEST_F(ExchangeOutput, EmptyPiecesAreNotKept) {
  push("");
  push("a");
  push("", true);
  EXPECT_EQ(take().chunks.size(), 1U);
}

// ---- waking the I/O thread

TEST_F(ExchangeOutput, TransportIsToldOnceUntilItHasLooked) {
  push("a");
  push("b");
  EXPECT_EQ(transport.signals(), std::vector<bool>{false});
  take();
  push("c", true);
  EXPECT_EQ(transport.signals(), (std::vector<bool>{false, false}));
}

TEST_F(ExchangeOutput, TransportIsToldThatMoreComesSoon) {
  exchange->push(Chunk("answer"s), high_water, true, true);
  EXPECT_EQ(transport.signals(), std::vector<bool>{true});
  EXPECT_EQ(transport.flushes, 0);
  exchange->flush();
  EXPECT_EQ(transport.flushes, 1);
}

// ---- back-pressure

TEST_F(ExchangeOutput, IsFullFromTheHighWaterMarkOn) {
  EXPECT_EQ(push(std::string(high_water - 1, 'a')), Push::ok);
  EXPECT_EQ(push("b"), Push::full);
  EXPECT_EQ(take().chunks[0].size(), high_water) << "what was too much is taken all the same";
  EXPECT_EQ(push("c"), Push::ok);
}

TEST_F(ExchangeOutput, LastPieceIsNeverTooMuch) {
  EXPECT_EQ(push(std::string(10 * high_water, 'a'), true), Push::ok);
}

TEST_F(ExchangeOutput, BorrowedBytesAndFilesCountToo) {
  Lender lender{std::string(high_water, 'a')};
  EXPECT_EQ(exchange->push(lender.lend(), high_water, false), Push::full);
  take();
  EXPECT_EQ(exchange->push(Chunk(FileRange{UniqueFd(), 0, high_water}), high_water, false),
            Push::full);
}

TEST_F(ExchangeOutput, WriterThatMayGoOnDoesNotWait) {
  push("a");
  EXPECT_EQ(exchange->wait_writable(), Push::ok);
}

TEST_F(ExchangeOutput, BlockedWriterWakesWhenTheOutputIsTaken) {
  ASSERT_EQ(push(std::string(high_water, 'a')), Push::full);
  auto writer = std::async(std::launch::async, [this] { return exchange->wait_writable(); });
  take();
  EXPECT_EQ(writer.get(), Push::ok);
}

TEST_F(ExchangeOutput, BlockedWriterWakesForADeparture) {
  ASSERT_EQ(push(std::string(high_water, 'a')), Push::full);
  auto writer = std::async(std::launch::async, [this] { return exchange->wait_writable(); });
  exchange->depart(Departure::write_timeout);
  EXPECT_EQ(writer.get(), Push::departed);
}

// The mark is lower for the first one, as the memory budget has it.
TEST_F(ExchangeOutput, BlockedWriterWakesThoughAnotherOneWasAllowedMore) {
  for (int round = 0; round < 100; ++round) {
    ASSERT_EQ(push(std::string(high_water, 'a')), Push::full);
    std::promise<void> begun;
    auto writer = std::async(std::launch::async, [&] {
      begun.set_value();
      return exchange->wait_writable();
    });
    begun.get_future().wait();
    for (int turn = 0; turn < 50; ++turn) std::this_thread::yield();  // in most rounds it waits
    ASSERT_EQ(exchange->push(Chunk("b"s), 10 * high_water, false), Push::ok);
    take();
    const auto woken = writer.wait_for(10s);
    if (woken != std::future_status::ready) exchange->depart(Departure::client_closed);
    ASSERT_EQ(woken, std::future_status::ready) << "in round " << round;
    EXPECT_EQ(writer.get(), Push::ok);
  }
}

TEST_F(ExchangeOutput, StreamsThroughWithoutLossOrDeadlock) {
  constexpr int pieces = 20'000;
  std::string got;
  std::thread io([&] {
    Exchange::Output output;
    for (std::size_t looked = 1; !output.finished; ++looked) {
      transport.await_signals(looked);
      output.clear();
      exchange->take_output(output);
      got += text_of(output);
    }
  });
  std::string expected;
  for (int i = 0; i < pieces; ++i) {
    const std::string piece = std::to_string(i) + ",";
    expected += piece;
    if (push(piece, i + 1 == pieces) == Push::full) {
      ASSERT_EQ(exchange->wait_writable(), Push::ok);
    }
  }
  io.join();
  EXPECT_TRUE(got == expected);
}

// ---- endings

TEST_F(ExchangeOutput, DepartedTakesNothingAndGivesEverythingBack) {
  Lender lender{"lent"};
  exchange->push(lender.lend(), high_water, false);
  exchange->depart(Departure::client_closed);
  EXPECT_EQ(lender.releases, 1);
  EXPECT_EQ(exchange->push(lender.lend(), high_water, false), Push::departed);
  EXPECT_EQ(lender.releases, 2);
  EXPECT_EQ(push("", true), Push::departed);
  EXPECT_TRUE(take().chunks.empty());
  EXPECT_EQ(transport.signals().size(), 1U) << "for the first push, while somebody waited";
}

TEST_F(ExchangeOutput, AbortedStillGivesWhatCameBefore) {
  push("half of");
  take();
  push(" it");
  exchange->abort();
  auto output = take();
  EXPECT_TRUE(output.aborted);
  EXPECT_FALSE(output.finished);
  EXPECT_EQ(text_of(output), " it");
}

TEST_F(ExchangeOutput, AbortTellsTheTransport) {
  exchange->abort();
  EXPECT_EQ(transport.signals(), std::vector<bool>{false});
  const auto output = take();
  EXPECT_TRUE(output.aborted);
  EXPECT_FALSE(output.head) << "no head was ever pushed";
}

TEST_F(ExchangeOutput, TheLastPushAndAnAbortSayWhen) {
  const auto before = std::chrono::steady_clock::now();
  push("first");
  EXPECT_EQ(exchange->finished_at, SteadyTime()) << "more is to come";
  push("last", true);
  EXPECT_GE(exchange->finished_at, before);

  const auto other = std::make_shared<Exchange>(transport);
  other->submit();
  ASSERT_TRUE(other->take());
  other->abort();
  EXPECT_GE(other->finished_at, before);
}

// What the access log reads about a client that left while a worker was about to finish.
TEST_F(ExchangeOutput, NothingSaysWhenAfterADeparture) {
  push("first");
  std::thread worker([this] { push("last", true); });
  exchange->depart(Departure::client_closed);
  const SteadyTime seen = exchange->finished_at;
  worker.join();
  exchange->abort();
  EXPECT_EQ(exchange->finished_at, seen);
}

// A thread of the application's own may be in write() when the application fails.
TEST_F(ExchangeOutput, BlockedWriterWakesForAnAbort) {
  ASSERT_EQ(push(std::string(high_water, 'a')), Push::full);
  auto writer = std::async(std::launch::async, [this] { return exchange->wait_writable(); });
  exchange->abort();
  EXPECT_EQ(writer.get(), Push::departed);
}

TEST_F(ExchangeOutput, AbortedTakesNothingMore) {
  Lender lender{"lent"};
  push("sent");
  exchange->abort();
  EXPECT_EQ(exchange->push(lender.lend(), high_water, false), Push::departed);
  EXPECT_EQ(lender.releases, 1);
  auto output = take();
  EXPECT_EQ(text_of(output), "sent");
}

TEST_F(ExchangeOutput, AbortAfterADepartureTellsNobody) {
  exchange->depart(Departure::client_closed);
  exchange->abort();
  EXPECT_TRUE(transport.signals().empty());
  EXPECT_EQ(exchange->state(), ExchangeState::departed);
}

}  // namespace
}  // namespace prowingen
