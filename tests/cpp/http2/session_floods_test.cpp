// Which frames that cost a client nothing are too many, and which are not.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "http2/session.h"
#include "http2/session_fixture.h"

namespace prowingen::http2 {
namespace {

class Flooded : public Http2Session {
 protected:
  /// How often `step` went before the session ended; it is not more often than `most`.
  template <typename Step>
  int rounds(int most, Step step) {
    for (int round = 0; round < most; ++round) {
      step();
      if (!talk()) return round;
    }
    return most;
  }
  void expect_calm_was_asked_for() {
    ASSERT_FALSE(client->goaways.empty());
    EXPECT_EQ(client->goaways.back().second, NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_TRUE(session->over());
    EXPECT_FALSE(session->fault().empty());
  }
};

TEST_F(Flooded, ByResets) {
  start();
  const auto survived = rounds(2000, [&] {
    const auto id = client->ask();
    talk();
    client->reset(id);
  });
  EXPECT_EQ(survived, 500);
  expect_calm_was_asked_for();
}

TEST_F(Flooded, ByResetsThatTheServerIsMadeToSend) {
  start();
  rounds(2000, [&] { client->ask({{"host", "b"}}); });
  expect_calm_was_asked_for();
}

TEST_F(Flooded, ByPings) {
  start();
  rounds(5000, [&] { client->ping(); });
  expect_calm_was_asked_for();
}

TEST_F(Flooded, ByWindowUpdates) {
  start();
  const auto id = client->ask();
  rounds(5000, [&] { client->open_window(id, 1); });
  expect_calm_was_asked_for();
}

TEST_F(Flooded, ByContentThatIsPaddingAlone) {
  start();
  client->ask({}, "begun", true);
  talk();
  const std::string frame("\0\0\2\0\x8\0\0\0\1\1\0", 11);
  int survived = 0;
  while (survived < 1000 && session->receive(frame, now)) ++survived;
  EXPECT_LT(survived, 200);
}

TEST_F(Flooded, ByContentOfAStreamThatWasReset) {
  start();
  const auto id = client->ask({}, "begun", true);
  talk();
  session->reset(*requests.at(id), ErrorCode::cancel);
  std::string said;
  session->write(said, SIZE_MAX);
  const std::string frame("\0\0\1\0\0\0\0\0\1x", 10);
  int survived = 0;
  while (survived < 3000 && session->receive(frame, now)) ++survived;
  EXPECT_LT(survived, 1500);
}

TEST_F(Flooded, NotByAnswersThatFail) {
  start();
  EXPECT_EQ(rounds(1500,
                   [&] {
                     const auto id = client->ask();
                     talk();
                     requests.at(id)->fails = true;
                     answer(id, "begun", true);
                   }),
            1500);
}

TEST_F(Flooded, NotByResetsThatAreTheServersOwn) {
  start();
  EXPECT_EQ(rounds(1500,
                   [&] {
                     const auto id = client->ask();
                     talk();
                     session->reset(*requests.at(id), ErrorCode::internal_error);
                   }),
            1500);
}

TEST_F(Flooded, NotByAClientThatOpensItsWindowsForEach4KiB) {
  start({}, 1 << 20);
  const auto id = client->ask();
  client->open_window(0, 1 << 20);
  talk();
  answer(id, std::string(8 << 20, 'x'));
  talk();
  EXPECT_EQ(rounds(1700,
                   [&] {
                     client->open_window(id, 4096);
                     client->open_window(0, 4096);
                   }),
            1700);
}

TEST_F(Flooded, NotByAClientThatTakesItsTime) {
  start();
  EXPECT_EQ(rounds(3000,
                   [&] {
                     client->ping();
                     now += std::chrono::milliseconds(10);
                   }),
            3000);
}

TEST_F(Flooded, NotByWindowUpdatesForWhatWasSent) {
  start({}, 10);
  const auto id = client->ask();
  talk();
  answer(id, std::string(50'000, 'x'));
  talk();
  EXPECT_EQ(rounds(4000,
                   [&] {
                     client->open_window(id, 10);
                     client->open_window(0, 10);
                   }),
            4000);
  EXPECT_EQ(client->answers[id].body.size(), 40'010U);
}

}  // namespace
}  // namespace prowingen::http2
