// Every line that is written arrives, or is counted and reported.
#include "access_log/access_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "access_log/access_log_parts.h"

namespace prowingen::access_log_parts {
namespace {

TEST(AccessLogTest, StopDeliversEverythingThatConcurrentWritersWrote) {
  const TemporaryFolder folder;
  constexpr int writers = 4;
  constexpr int each = 5000;
  {
    AccessLog log(text_only(), log_to_file(folder / "log"), {});
    std::vector<std::thread> threads;
    threads.reserve(writers);
    for (int writer = 0; writer < writers; ++writer) {
      threads.emplace_back([&log, writer] {
        for (int i = 0; i < each; ++i) {
          write_line(log, std::to_string(writer) + ":" + std::to_string(i));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(log.lines_lost(), 0u);
  }
  std::vector<int> next(writers, 0);
  for (const std::string& line : lines_of(content(folder / "log"))) {
    const std::size_t colon = line.find(':');
    ASSERT_NE(colon, std::string::npos) << line;
    const auto writer = static_cast<std::size_t>(std::stoi(line));
    EXPECT_EQ(std::stoi(line.substr(colon + 1)), next.at(writer)++);  // whole, and in order
  }
  EXPECT_EQ(next, std::vector<int>(writers, each));
}

TEST(AccessLogTest, ALineArrivesWithoutAnotherToPushIt) {
  const auto gate = std::make_shared<GatedSink>();
  gate->open();
  AccessLogLimits limits;
  limits.max_delay = 1ms;
  AccessLog log(text_only(), gate, {}, limits);
  std::string expected;
  for (int i = 0; i < 100; ++i) {  // so often that it meets the writer idle
    write_line(log, "alone");
    expected += "alone\n";
    gate->await_text(expected);
  }
}

TEST(AccessLogTest, TheThresholdWakesTheWriterBeforeTheDelay) {
  const auto gate = std::make_shared<GatedSink>();
  gate->open();
  AccessLogLimits limits;
  limits.max_delay = std::chrono::hours(1);
  limits.wake_threshold = 64;
  AccessLog log(text_only(), gate, {}, limits);
  std::string expected;
  for (int i = 0; i < 8; ++i) {
    write_line(log, "1234567");
    expected += "1234567\n";
  }
  gate->await_text(expected);
}

TEST(AccessLogTest, AppendsToWhatIsThere) {
  const TemporaryFolder folder;
  std::ofstream(folder / "log") << "before\n";
  {
    AccessLog log(text_only(), log_to_file(folder / "log"), {});
    write_line(log, "after");
    EXPECT_TRUE(log.flush());
    EXPECT_EQ(content(folder / "log"), "before\nafter\n");
  }
}

TEST(AccessLogTest, AFileThatCannotBeOpenedIsNamed) {
  try {
    log_to_file("/nonexistent/access.log");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("\"/nonexistent/access.log\": No such file"),
              std::string::npos)
        << error.what();
  }
}

TEST(AccessLogTest, ReopenSplitsTheLinesAtTheCall) {
  const TemporaryFolder folder;
  AccessLog log(text_only(), log_to_file(folder / "log"), {});
  write_line(log, "old");
  std::filesystem::rename(folder / "log", folder / "log.1");
  EXPECT_TRUE(log.reopen());
  write_line(log, "new");
  EXPECT_TRUE(log.flush());
  EXPECT_EQ(content(folder / "log.1"), "old\n");
  EXPECT_EQ(content(folder / "log"), "new\n");
}

TEST(AccessLogTest, AFailedReopenIsReportedAndLosesNothing) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "a");
  Reports reports;
  AccessLog log(text_only(), log_to_file(folder / "a/log"), reports.taker());
  std::filesystem::rename(folder / "a", folder / "b");
  EXPECT_TRUE(log.reopen());
  write_line(log, "kept");
  EXPECT_TRUE(log.flush());
  EXPECT_EQ(content(folder / "b/log"), "kept\n");
  EXPECT_NE(reports.first().find("cannot reopen it: No such file"), std::string::npos);
}

TEST(AccessLogTest, ASlowSinkCostsLinesBeyondTheBoundWhichAreCountedAndReported) {
  const auto gate = std::make_shared<GatedSink>();
  Reports reports;
  {
    AccessLog log(text_only(), gate, reports.taker(), limits_with(80, 60s));
    write_line(log, "taken in delivery");
    gate->await_call();
    for (int i = 0; i < 30; ++i) write_line(log, "1234567");
    EXPECT_EQ(log.lines_lost(), 20u);
    // The writer waits for the sink meanwhile, and says so all the same.
    EXPECT_EQ(reports.first(), "access log gate: 20 lines dropped: it takes them too slowly");
    gate->open();
  }
  EXPECT_EQ(lines_of(gate->text()).size(), 11u);
  EXPECT_EQ(reports.all().size(), 1u);
}

TEST(AccessLogTest, AFailingSinkIsReportedOnceInAnIntervalAndAtTheEnd) {
  const auto gate = std::make_shared<GatedSink>();
  gate->open();
  gate->fail(std::errc::no_space_on_device, 0);
  Reports reports;
  {
    AccessLog log(text_only(), gate, reports.taker());
    for (int i = 0; i < 5; ++i) {
      write_line(log, "lost");
      EXPECT_TRUE(log.flush());
    }
    EXPECT_EQ(log.lines_lost(), 5u);
    EXPECT_EQ(reports.all().size(), 1u);
  }
  const auto texts = reports.all();
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0], "access log gate: 1 lines lost: No space left on device");
  EXPECT_EQ(texts[1], "access log gate: 4 lines lost: No space left on device");
}

TEST(AccessLogTest, LossesAreReportedWhenTheIntervalEndsThoughNothingElseHappens) {
  const auto gate = std::make_shared<GatedSink>();
  gate->open();
  gate->fail(std::errc::io_error, 0);
  Reports reports;
  AccessLogLimits limits;
  limits.report_interval = 50ms;
  AccessLog log(text_only(), gate, reports.taker(), limits);
  for (int i = 0; i < 2; ++i) {
    write_line(log, "lost");
    log.flush();
  }
  while (reports.all().size() < 2) std::this_thread::yield();
  EXPECT_EQ(reports.all()[1], "access log gate: 1 lines lost: Input/output error");
}

TEST(AccessLogTest, ALineTornByAFullDiskIsNotContinuedByTheNext) {
  const auto gate = std::make_shared<GatedSink>();
  gate->open();
  gate->fail(std::errc::no_space_on_device, 3);
  AccessLog log(text_only(), gate, {});
  write_line(log, "broken");
  log.flush();
  gate->recover();
  write_line(log, "whole");
  log.flush();
  EXPECT_EQ(gate->text(), "bro\nwhole\n");
  EXPECT_EQ(log.lines_lost(), 1u);
}

TEST(AccessLogTest, AStoppedReaderDoesNotHoldTheStop) {
  const auto gate = std::make_shared<GatedSink>();
  Reports reports;
  {
    AccessLog log(text_only(), gate, reports.taker(), limits_with(1024, 50ms));
    write_line(log, "never");
    EXPECT_FALSE(log.flush());
  }
  EXPECT_NE(reports.first().find("1 lines lost: its reader"), std::string::npos);
}

}  // namespace
}  // namespace prowingen::access_log_parts
