// A WebSocket between threads: one brings bytes and takes output as an engine does, others receive,
// send, ping and close. ThreadSanitizer looks on.
#include "websocket/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/engine.h"
#include "websocket/frame_writer.h"

namespace prowingen::websocket {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t high_water = 64 * 1024;
constexpr std::size_t max_body = 256 * 1024;

class QuietTransport final : public Transport {
 public:
  void output_ready(std::shared_ptr<Exchange>, bool) override {}
  void body_wanted(std::shared_ptr<Exchange>) override {}
  void client_doubted(std::shared_ptr<Exchange>) override {}
  void flush() override {}
};

std::string masked(Opcode opcode, std::string_view payload) {
  std::string frame = make_frame(opcode, payload);
  frame[1] = static_cast<char>(frame[1] | '\x80');
  frame.insert(frame.size() - payload.size(), 4, '\0');  // a mask that changes nothing
  return frame;
}

class WebSocketSession : public testing::Test {
 protected:
  WebSocketSession() {
    exchange->submit();
    EXPECT_TRUE(exchange->take());
    exchange->push({}, high_water, false);
  }
  ~WebSocketSession() override { exchange->depart(Departure::server_stopped); }

  std::shared_ptr<Session> begin(const Rules& rules = {}, std::weak_ptr<Reader> reader = {}) {
    auto session = std::make_shared<Session>(exchange, rules, sessions);
    session->begin(std::move(reader));
    return session;
  }

  /// As an engine does: what is pushed so far.
  std::string output() {
    std::string bytes;
    exchange->take_output(out_);
    for (const auto& chunk : out_.chunks) bytes += chunk.bytes();
    out_.clear();
    return bytes;
  }

  QuietTransport transport;
  std::shared_ptr<Exchange> exchange = std::make_shared<Exchange>(transport);
  Sessions sessions;

 private:
  Exchange::Output out_;
};

TEST_F(WebSocketSession, EchoesWhileOthersPingAndTheClientFloods) {
  constexpr int count = 3000;
  const auto session = begin();
  std::atomic<bool> over{false};
  std::string sent;
  std::thread io([&] {
    for (int i = 0; i < count; ++i) {
      std::string frame = masked(i % 7 == 0 ? Opcode::ping : Opcode::text, std::to_string(i));
      exchange->append_body(std::string_view(frame).substr(0, 3), max_body);
      exchange->append_body(std::string_view(frame).substr(3), max_body);
      sent += output();
    }
    exchange->append_body(masked(Opcode::close, "\x03\xE8"), max_body);
    while (!over) sent += output();
    sent += output();
  });
  std::thread pinger([&] {
    while (session->ping("x") == Session::Sent::ok) std::this_thread::yield();
  });
  int heard = 0;
  Message message;
  while (session->receive(message, std::nullopt) == Session::Received::message) {
    ++heard;
    EXPECT_NE(session->send(Opcode::text, message.data), Session::Sent::full);
  }
  pinger.join();
  over = true;
  io.join();
  EXPECT_EQ(heard, count - (count + 6) / 7);
  EXPECT_TRUE(session->is_closed());
  EXPECT_EQ(session->closed_by().code, 1000);
  EXPECT_TRUE(sent.ends_with("\x88\x02\x03\xE8"));
  EXPECT_EQ(sessions.counters().open, 0U);
}

class Counting final : public Reader {
 public:
  void on_news() override { ++news; }
  std::atomic<int> news{0};
};

TEST_F(WebSocketSession, TellsItsReaderOnceUntilTheInboxWasFoundEmpty) {
  const auto reader = std::make_shared<Counting>();
  const auto session = begin({}, reader);
  EXPECT_EQ(reader->news, 1) << "the begin";
  exchange->append_body(masked(Opcode::text, "a"), max_body);
  EXPECT_EQ(reader->news, 1);
  Message message;
  EXPECT_EQ(session->receive(message, SteadyTime()), Session::Received::message);
  exchange->append_body(masked(Opcode::text, "b"), max_body);
  EXPECT_EQ(session->receive(message, SteadyTime()), Session::Received::message);
  EXPECT_EQ(reader->news, 1);
  EXPECT_EQ(session->receive(message, SteadyTime()), Session::Received::timed_out);
  exchange->append_body(masked(Opcode::text, "c"), max_body);
  EXPECT_EQ(reader->news, 2);
}

TEST_F(WebSocketSession, LetsTheClientWaitForWhoDoesNotRead) {
  const auto session = begin();
  const std::string frame = masked(Opcode::binary, std::string(10'000, 'x'));
  auto intake = Exchange::Intake::read_on;
  int sent = 0;
  for (; intake != Exchange::Intake::pause && sent < 1000; ++sent) {
    intake = exchange->append_body(frame, max_body);
  }
  EXPECT_LT(sent, 40);
  Message message;
  for (int i = 0; i < sent; ++i) {
    ASSERT_EQ(session->receive(message, SteadyTime()), Session::Received::message) << i;
  }
  EXPECT_EQ(session->receive(message, SteadyTime()), Session::Received::timed_out);
}

TEST_F(WebSocketSession, ChargesItsExchangeForWhatItKeeps) {
  const auto session = begin();
  std::string half = masked(Opcode::binary, std::string(100'000, 'x'));
  half.resize(60'000);
  exchange->append_body(half, max_body);
  EXPECT_GE(exchange->memory_to_regain(), 0U);
  exchange->depart(Departure::memory_short);
  EXPECT_EQ(session->closed_by().code, close_code::abnormal);
  EXPECT_EQ(session->closed_by().reason, describe(Departure::memory_short));
}

TEST_F(WebSocketSession, IsClosedFromManyThreadsOnce) {
  const auto session = begin();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      session->send(Opcode::text, "x");
      session->close({4000 + i, {}});
    });
  }
  for (auto& thread : threads) thread.join();
  const std::string sent = output();
  EXPECT_EQ(sent[sent.size() - 4], '\x88') << "nothing follows a close";
  exchange->append_body(masked(Opcode::close, "\x0F\xA0"), max_body);
  EXPECT_TRUE(session->wait_closed(std::nullopt));
  EXPECT_EQ(output(), "") << "a close is said once";
  EXPECT_EQ(exchange->state(), ExchangeState::finished);
}

TEST_F(WebSocketSession, OfAServerThatStopsIsClosed) {
  const auto session = begin();
  sessions.close_all({close_code::going_away, "bye"});
  EXPECT_EQ(output(),
            "\x88\x05\x03\xE9"
            "bye");
  const auto other = std::make_shared<Exchange>(transport);
  other->submit();
  other->take();
  other->push({}, high_water, false);
  const auto late = std::make_shared<Session>(other, Rules(), sessions);
  late->begin({});
  EXPECT_FALSE(late->is_open()) << "who comes meanwhile, too";
  other->depart(Departure::server_stopped);
}

TEST_F(WebSocketSession, GoesToManyAsOneFrame) {
  Rules compressed;
  compressed.compression.agreed = true;
  const auto session = begin(compressed);
  const SharedMessage message(Opcode::text, std::string(5000, 'x'));
  EXPECT_EQ(message.frame_for(compressed.compression), message.frame_for(compressed.compression));
  EXPECT_EQ(session->send(message), Session::Sent::ok);
  EXPECT_EQ(output(), *message.frame_for(compressed.compression));
  Compression keeps = compressed.compression;
  keeps.server_keeps = true;
  EXPECT_EQ(message.frame_for(keeps), nullptr) << "it has to be compressed for itself";
}

}  // namespace
}  // namespace prowingen::websocket
