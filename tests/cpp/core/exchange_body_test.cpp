// A request's body on its way from the I/O thread to the worker: back-pressure, end and departure.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/engine.h"
#include "core/exchange.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using Intake = Exchange::Intake;
using Read = Exchange::Read;

constexpr std::size_t high_water = 10;

// Counts what the I/O thread would be woken for, and can be waited on.
class CountingTransport final : public Transport {
 public:
  void output_ready(std::shared_ptr<Exchange>, bool) override {}
  void body_wanted(std::shared_ptr<Exchange>) override {
    const std::lock_guard lock(mutex_);
    ++wanted_;
    changed_.notify_all();
  }
  void client_doubted(std::shared_ptr<Exchange>) override {}
  void flush() override {}

  int wanted() const {
    const std::lock_guard lock(mutex_);
    return wanted_;
  }
  void await_wanted(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return wanted_ >= count; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int wanted_ = 0;
};

class ExchangeBody : public testing::Test {
 protected:
  ExchangeBody() {
    exchange->submit();
    EXPECT_TRUE(exchange->take());
  }

  // read_body() on a thread of its own, which has begun to wait when this returns.
  std::future<Read> blocked_reader() {
    const int before = transport.wanted();
    auto reader = std::async(std::launch::async, [this] { return exchange->read_body(buffer); });
    transport.await_wanted(before + 1);
    return reader;
  }

  CountingTransport transport;
  std::shared_ptr<Exchange> exchange = std::make_shared<Exchange>(transport);
  std::string buffer;
};

TEST_F(ExchangeBody, WhatHasArrivedIsReadAtOnceAndWhole) {
  exchange->append_body("one ", high_water);
  exchange->append_body("two", high_water);
  EXPECT_TRUE(exchange->body_ready());
  buffer = "what was there before";
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  EXPECT_EQ(buffer, "one two");
  EXPECT_EQ(transport.wanted(), 0) << "nobody has to be asked";
  EXPECT_FALSE(exchange->body_ready());
}

TEST_F(ExchangeBody, EndsAfterTheLastByteAndStaysEnded) {
  exchange->append_body("all", high_water);
  exchange->finish_body();
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(exchange->body_ready());
    EXPECT_EQ(exchange->read_body(buffer), Read::end);
    EXPECT_EQ(buffer, "");
  }
  EXPECT_EQ(transport.wanted(), 0);
}

TEST_F(ExchangeBody, TrailersAreThereWhenItIsWhole) {
  EXPECT_FALSE(exchange->body_whole());
  EXPECT_EQ(exchange->append_body("abc", high_water), Intake::read_on);
  exchange->add_trailer("X-Checksum", "1");
  exchange->add_trailer("X-Other", "");
  exchange->finish_body();
  EXPECT_TRUE(exchange->body_whole());
  EXPECT_FALSE(exchange->body_read());
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  EXPECT_TRUE(exchange->body_read());
  ASSERT_NE(exchange->trailers(), nullptr);
  EXPECT_EQ(exchange->trailers()->wire(), "X-Checksum: 1\r\nX-Other: \r\n");
}

TEST_F(ExchangeBody, EmptyOneEndsAtOnce) {
  exchange->finish_body();
  EXPECT_EQ(exchange->read_body(buffer), Read::end);
}

TEST_F(ExchangeBody, PausesFromTheHighWaterMarkOn) {
  EXPECT_EQ(exchange->append_body("123456789", high_water), Intake::read_on);
  EXPECT_EQ(exchange->append_body("0", high_water), Intake::pause);
  EXPECT_EQ(exchange->append_body("1", high_water), Intake::pause);
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  EXPECT_EQ(exchange->append_body("2", high_water), Intake::read_on);
}

TEST_F(ExchangeBody, ReadingAfterAPauseAsksForMoreOnce) {
  exchange->append_body("0123456789", high_water);
  EXPECT_EQ(transport.wanted(), 0);
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  EXPECT_EQ(transport.wanted(), 1);
  exchange->append_body("short", high_water);
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  EXPECT_EQ(transport.wanted(), 1) << "nothing was paused";
}

// The first wait may have to send `100 Continue`; after that the client knows.
TEST_F(ExchangeBody, OnlyTheFirstWaitAsks) {
  auto reader = blocked_reader();
  exchange->append_body("a", high_water);
  EXPECT_EQ(reader.get(), Read::bytes);
  EXPECT_EQ(transport.wanted(), 1);
  auto second = std::async(std::launch::async, [this] { return exchange->read_body(buffer); });
  exchange->append_body("b", high_water);
  EXPECT_EQ(second.get(), Read::bytes);
  EXPECT_EQ(transport.wanted(), 1);
}

TEST_F(ExchangeBody, BlockedReaderWakesForBytes) {
  auto reader = blocked_reader();
  exchange->append_body("bytes", high_water);
  EXPECT_EQ(reader.get(), Read::bytes);
  EXPECT_EQ(buffer, "bytes");
}

TEST_F(ExchangeBody, BlockedReaderWakesForTheEnd) {
  auto reader = blocked_reader();
  exchange->finish_body();
  EXPECT_EQ(reader.get(), Read::end);
}

TEST_F(ExchangeBody, BlockedReaderWakesForADeparture) {
  auto reader = blocked_reader();
  exchange->depart(Departure::body_timeout);
  EXPECT_EQ(reader.get(), Read::departed);
  EXPECT_EQ(exchange->departure(), Departure::body_timeout);
}

TEST_F(ExchangeBody, DepartedTellsTheReaderEvenIfBytesAreThere) {
  exchange->append_body("bytes", high_water);
  exchange->depart(Departure::client_closed);
  EXPECT_TRUE(exchange->body_ready());
  EXPECT_EQ(exchange->read_body(buffer), Read::departed);
}

// The application answered on the worker while a thread of its own still reads.
TEST_F(ExchangeBody, BlockedReaderWakesWhenTheAnswerIsCompleted) {
  auto reader = blocked_reader();
  exchange->push(Chunk(std::string("answer")), high_water, true);
  exchange->written();
  EXPECT_EQ(reader.get(), Read::departed);
  EXPECT_EQ(exchange->departure(), Departure::none);
}

TEST_F(ExchangeBody, BlockedReaderWakesWhenTheAnswerIsAborted) {
  auto reader = blocked_reader();
  exchange->abort();
  EXPECT_EQ(reader.get(), Read::departed);
}

TEST_F(ExchangeBody, HalfABodyCannotBeWaitedForOnceTheAnswerIsCompleted) {
  exchange->append_body("half", high_water);
  exchange->push({}, high_water, true);
  exchange->written();
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  EXPECT_EQ(buffer, "half");
  EXPECT_TRUE(exchange->body_ready());
  EXPECT_EQ(exchange->read_body(buffer), Read::departed);
  EXPECT_EQ(transport.wanted(), 0) << "nobody is left to be asked";
}

TEST_F(ExchangeBody, WholeBodyCanStillBeReadOnceTheAnswerIsCompleted) {
  exchange->append_body("0123456789", high_water);
  exchange->finish_body();
  exchange->push({}, high_water, true);
  exchange->written();
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  EXPECT_EQ(exchange->read_body(buffer), Read::end);
  EXPECT_EQ(transport.wanted(), 0);
}

TEST_F(ExchangeBody, NothingIsKeptForOneThatIsOver) {
  exchange->depart(Departure::client_closed);
  EXPECT_EQ(exchange->append_body(std::string(high_water, 'x'), high_water), Intake::read_on);
}

// Two strings change places: the one being read and the one being filled.
TEST_F(ExchangeBody, ReadersBufferIsFilledNext) {
  exchange->append_body(std::string(500, 'a'), 1000);
  buffer.reserve(900);
  const auto capacity = buffer.capacity();
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  exchange->append_body(std::string(800, 'b'), 1000);
  EXPECT_EQ(exchange->read_body(buffer), Read::bytes);
  EXPECT_EQ(buffer, std::string(800, 'b'));
  EXPECT_EQ(buffer.capacity(), capacity) << "the first buffer came back";
}

// ---- before a worker is taken

class StoredExchangeBody : public testing::Test {
 protected:
  void hand_over() {
    exchange->submit();
    EXPECT_TRUE(exchange->take());
  }
  std::string read_all() {
    std::string all;
    std::string block;
    for (;;) {
      const auto outcome = exchange->read_body(block);
      if (outcome != Read::bytes) {
        EXPECT_EQ(outcome, Read::end);
        return all;
      }
      all += block;
    }
  }

  CountingTransport transport;
  std::shared_ptr<Spool> spool = std::make_shared<Spool>("", 0, [](const std::string&) {});
  std::shared_ptr<Spool> full = std::make_shared<Spool>("", 1, [](const std::string&) {});
  std::shared_ptr<Exchange> exchange = std::make_shared<Exchange>(transport);
};

TEST_F(StoredExchangeBody, IsReadBeforeWhatComesAfterwards) {
  const std::string early(StoredBody::memory_bound + 1, 'a');
  EXPECT_EQ(exchange->store_body(early, 1 << 20, spool), Intake::read_on);
  EXPECT_EQ(exchange->store_body("b", 1 << 20, spool), Intake::read_on);
  EXPECT_EQ(exchange->stored_body_size(), early.size() + 1);
  hand_over();
  exchange->append_body("c", high_water);
  exchange->finish_body();
  EXPECT_EQ(read_all(), early + "bc");
}

TEST_F(StoredExchangeBody, IsNotReadyWhileItsNextBytesAreOnTheDisk) {
  exchange->store_body(std::string(StoredBody::memory_bound + 1, 'a'), {}, spool);
  exchange->store_body("b", {}, spool);
  exchange->finish_body();
  hand_over();
  EXPECT_FALSE(exchange->body_ready()) << "a read may wait for the disk";
  std::string block;
  EXPECT_EQ(exchange->read_body(block), Read::bytes);
  EXPECT_TRUE(exchange->body_ready());
  exchange->depart(Departure::client_closed);
  EXPECT_TRUE(exchange->body_ready());
  EXPECT_EQ(exchange->read_body(block), Read::departed);
}

TEST_F(StoredExchangeBody, PausesWhenAWorkerIsDueAndResumesWhenAllIsRead) {
  EXPECT_EQ(exchange->store_body(std::string(100'000, 'a'), 150'000, spool), Intake::read_on);
  EXPECT_EQ(exchange->store_body(std::string(50'000, 'b'), 150'000, spool), Intake::pause);
  hand_over();
  std::string block;
  EXPECT_EQ(exchange->read_body(block), Read::bytes);
  EXPECT_EQ(block.size(), 100'000U);
  EXPECT_EQ(transport.wanted(), 0);
  EXPECT_EQ(exchange->read_body(block), Read::bytes);
  EXPECT_EQ(transport.wanted(), 1);
}

TEST_F(StoredExchangeBody, OneThatMayBeStreamedNeedsNoDisk) {
  const std::string early(100'000, 'a');
  EXPECT_EQ(exchange->store_body(early, 1 << 20, full), Intake::pause);
  hand_over();
  exchange->append_body("b", high_water);
  exchange->finish_body();
  EXPECT_EQ(read_all(), early + "b");
}

TEST_F(StoredExchangeBody, OneThatHasToBeWholeIsRefusedWithoutDisk) {
  EXPECT_EQ(exchange->store_body(std::string(1000, 'a'), {}, full), Intake::read_on);
  EXPECT_EQ(exchange->store_body(std::string(100'000, 'a'), {}, full), Intake::refuse);
}

// For ThreadSanitizer: the I/O thread looks whether a worker waits for more.
TEST_F(StoredExchangeBody, IsLookedAtWhileItsFileIsRead) {
  EXPECT_EQ(exchange->store_body(std::string(2'000'000, 'a'), {}, spool), Intake::read_on);
  hand_over();
  exchange->finish_body();
  std::atomic<bool> read{false};
  std::thread looks([&] {
    while (!read) static_cast<void>(exchange->body_used_up());
  });
  EXPECT_EQ(read_all().size(), 2'000'000U);
  read = true;
  looks.join();
  EXPECT_TRUE(exchange->body_used_up());
}

TEST_F(StoredExchangeBody, TellsHowMuchMemoryItHolds) {
  EXPECT_EQ(exchange->memory_charged(), 0U);
  exchange->store_body(std::string(10'000, 'a'), {}, spool);
  EXPECT_GE(exchange->memory_charged(), 10'000U - MemoryCharge::step);
  exchange->store_body(std::string(1'000'000, 'a'), {}, spool);
  EXPECT_LE(exchange->memory_charged(), 2 * StoredBody::memory_bound);
}

TEST_F(ExchangeBody, StreamsThroughWithoutLossWhilePausingAndResuming) {
  constexpr int pieces = 20'000;
  auto first = blocked_reader();  // from here on only a resumption asks
  exchange->append_body(":", 64);
  ASSERT_EQ(first.get(), Read::bytes);
  int pauses = 0;
  std::thread io([&] {
    for (int i = 0; i < pieces; ++i) {
      if (exchange->append_body(std::to_string(i) + ",", 64) == Intake::pause) {
        transport.await_wanted(1 + ++pauses);  // as the engine does: reads on when it is asked to
      }
    }
    exchange->finish_body();
  });
  std::string all;
  while (exchange->read_body(buffer) == Read::bytes) {
    EXPECT_LT(buffer.size(), 64U + 6U) << "the mark is exceeded by one piece at most";
    all += buffer;
  }
  io.join();
  std::string expected;
  for (int i = 0; i < pieces; ++i) expected += std::to_string(i) + ",";
  EXPECT_TRUE(all == expected);
  EXPECT_EQ(transport.wanted(), 1 + pauses);
}

// ---- another protocol

TEST_F(ExchangeBody, IsWaitedForUntilATime) {
  EXPECT_EQ(exchange->read_body(buffer, SteadyTime()), Read::timed_out) << "not at all";
  const auto until = std::chrono::steady_clock::now() + 20ms;
  EXPECT_EQ(exchange->read_body(buffer, until), Read::timed_out);
  EXPECT_GE(std::chrono::steady_clock::now(), until);
  exchange->append_body("late", high_water);
  EXPECT_EQ(exchange->read_body(buffer, SteadyTime()), Read::bytes);
  EXPECT_EQ(buffer, "late");
}

TEST_F(ExchangeBody, ThatIsNotWantedIsThrownAway) {
  exchange->append_body("here", high_water);
  EXPECT_TRUE(exchange->wants_input());
  exchange->close_input();
  EXPECT_FALSE(exchange->wants_input());
  EXPECT_EQ(exchange->append_body("and more than is kept otherwise", high_water), Intake::read_on);
  EXPECT_EQ(exchange->read_body(buffer), Read::end);
  EXPECT_EQ(exchange->memory_charged(), 0U);
}

TEST_F(ExchangeBody, ReaderWakesWhenItIsNotWantedAnyMore) {
  auto reader = blocked_reader();
  exchange->close_input();
  EXPECT_EQ(reader.get(), Read::end);
}

class CountingWatcher final : public ExchangeWatcher {
 public:
  void on_change() override { ++changes; }
  std::atomic<int> changes{0};
};

TEST_F(ExchangeBody, WatcherIsToldOfAllThatWakes) {
  const auto watcher = std::make_shared<CountingWatcher>();
  exchange->append_body("before", high_water);
  exchange->watch(watcher);
  EXPECT_EQ(watcher->changes, 0);
  ASSERT_EQ(exchange->read_body(buffer), Read::bytes);
  exchange->append_body("x", high_water);
  EXPECT_EQ(watcher->changes, 1);
  exchange->append_body("y", high_water);
  EXPECT_EQ(watcher->changes, 1) << "who has not read the first has been told";
  exchange->push(Chunk(std::string("answer")), 1, false);
  Exchange::Output output;
  exchange->take_output(output);
  EXPECT_EQ(watcher->changes, 2) << "there is room again";
  exchange->finish_body();
  EXPECT_EQ(watcher->changes, 3);
  exchange->depart(Departure::client_closed);
  EXPECT_EQ(watcher->changes, 4);
  const auto other = std::make_shared<CountingWatcher>();
  exchange->unwatch(*other);
  EXPECT_EQ(watcher.use_count(), 2) << "it is another's place";
  exchange->unwatch(*watcher);
  EXPECT_EQ(watcher.use_count(), 1);
}

TEST_F(ExchangeBody, EndIsWaitedFor) {
  EXPECT_FALSE(exchange->wait_over(SteadyTime()));
  auto waiter = std::async(std::launch::async, [this] { return exchange->wait_over({}); });
  exchange->depart(Departure::client_closed);
  EXPECT_TRUE(waiter.get());
}

}  // namespace
}  // namespace prowingen
