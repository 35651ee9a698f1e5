// Log events and access-log lines on their way to the one thread that takes them.
#include "core/log_channel.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "access_log/access_log_parts.h"

namespace prowingen::access_log_parts {
namespace {

class LogChannelTest : public testing::Test {
 protected:
  /// Everything that the channel still has, once it is closed: the texts of access lines.
  std::string remaining_lines() {
    std::string all;
    std::deque<LogChannel::Event> events;
    while (channel->take(events, std::chrono::hours(1))) {
      for (const auto& event : events) {
        EXPECT_TRUE(event.access_lines);
        all += event.text;
      }
    }
    return all;
  }

  std::shared_ptr<LogChannel> channel = std::make_shared<LogChannel>();
};

TEST_F(LogChannelTest, GivesEventsInTheirOrder) {
  channel->add(Severity::error, "first");
  channel->add(Severity::debug, "second");
  std::deque<LogChannel::Event> events(5);
  ASSERT_TRUE(channel->take(events, std::chrono::hours(1)));
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].text, "first");
  EXPECT_EQ(events[0].severity, Severity::error);
  EXPECT_EQ(events[1].text, "second");
  EXPECT_FALSE(events[1].access_lines);
}

TEST_F(LogChannelTest, ATakerThatWaitsIsWokenByEventsAndByTheEnd) {
  int taken = 0;
  std::thread taker([&] {
    std::deque<LogChannel::Event> events;
    while (channel->take(events, std::chrono::hours(1))) taken += static_cast<int>(events.size());
  });
  for (int i = 0; i < 100; ++i) channel->add(Severity::info, "event");
  channel->close();
  taker.join();
  EXPECT_EQ(taken, 100);
}

TEST_F(LogChannelTest, AFloodOfEventsIsCutAndTheCutIsAnEvent) {
  for (int i = 0; i < 20'000; ++i) channel->add(Severity::info, "flood");
  std::deque<LogChannel::Event> events;
  ASSERT_TRUE(channel->take(events, std::chrono::hours(1)));
  EXPECT_EQ(events.size(), 10'001U);
  EXPECT_EQ(events.back().severity, Severity::warning);
  EXPECT_NE(events.back().text.find("dropped"), std::string::npos);
  channel->add(Severity::info, "after it");
  ASSERT_TRUE(channel->take(events, std::chrono::hours(1)));
  EXPECT_EQ(events.size(), 1U);
}

TEST_F(LogChannelTest, ATakerGetsEveryLineAlsoAfterTheLogHasStopped) {
  constexpr int count = 10'000;
  std::string expected;
  {
    AccessLog log(text_only(), LogChannel::sink(channel), {});
    for (int i = 0; i < count; ++i) {
      write_line(log, std::to_string(i));
      expected += std::to_string(i) + "\n";
    }
  }
  channel->close();
  EXPECT_EQ(remaining_lines(), expected);
}

TEST_F(LogChannelTest, HoldsLinesUpToABoundAndTheLogTheRest) {
  const auto sink = LogChannel::sink(channel);
  const std::string lines(std::size_t{16} << 20, '\n');
  EXPECT_EQ(sink->deliver(lines, 0ms, false).bytes, lines.size());
  const auto full = sink->deliver("more\n", 0ms, false);
  EXPECT_EQ(full.bytes, 0U);
  EXPECT_FALSE(full.error) << "its taker is slow, no more than that";
  EXPECT_EQ(sink->deliver("last\n", 0ms, true).bytes, 5U);
  std::deque<LogChannel::Event> events;
  ASSERT_TRUE(channel->take(events, std::chrono::hours(1)));
  EXPECT_EQ(sink->deliver("more\n", 0ms, false).bytes, 5U) << "there is room again";
}

TEST_F(LogChannelTest, AClosedOneTurnsLinesAwayWithAnError) {
  const auto sink = LogChannel::sink(channel);
  channel->close();
  for (const bool last : {false, true}) {
    const auto delivered = sink->deliver("unwanted\n", 0ms, last);
    EXPECT_EQ(delivered.bytes, 0U);
    EXPECT_EQ(delivered.error, std::errc::broken_pipe);
  }
  Reports reports;
  AccessLog log(text_only(), sink, reports.taker());
  write_line(log, "unwanted");
  EXPECT_EQ(reports.first(), "access log the access_log callable: 1 lines lost: Broken pipe");
  EXPECT_EQ(log.lines_lost(), 1U);
}

}  // namespace
}  // namespace prowingen::access_log_parts
