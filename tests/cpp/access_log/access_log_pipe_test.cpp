// The access log on a pipe: lines stay whole, and its reader may stop or leave.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "access_log/access_log_parts.h"
#include "core/chunk.h"

namespace prowingen::access_log_parts {
namespace {

TEST(AccessLogPipeTest, TwoLogsShareAPipedStdoutWithoutMixingTheirLines) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  UniqueFd saved(::dup(STDOUT_FILENO));
  ::dup2(writer.get(), STDOUT_FILENO);
  std::vector<std::shared_ptr<LogSink>> sinks{log_to_stdout(), log_to_stdout()};
  ::dup2(saved.get(), STDOUT_FILENO);
  writer.reset();

  std::string received;
  std::thread reading;
  constexpr int count = 20'000;  // several times what the pipe holds
  {
    AccessLog first(text_only(), std::move(sinks[0]), {});
    AccessLog second(text_only(), std::move(sinks[1]), {});
    for (int i = 0; i < count; ++i) {
      write_line(first, "1:" + std::to_string(i));
      write_line(second, "2:" + std::to_string(i));
    }
    // Only now, so that both have met a full pipe in the middle of their lines.
    reading = std::thread([&] {
      char piece[1000];
      for (ssize_t n; (n = ::read(reader.get(), piece, sizeof piece)) > 0;) {
        received.append(piece, static_cast<std::size_t>(n));
      }
    });
  }
  sinks.clear();
  reading.join();
  int next[] = {0, 0};
  for (const std::string& line : lines_of(received)) {
    ASSERT_EQ(line.substr(2), std::to_string(next[line[0] - '1']++));
  }
  EXPECT_EQ(next[0], count);
  EXPECT_EQ(next[1], count);
}

TEST(AccessLogPipeTest, ANamedPipeWhoseReaderLeftIsAnErrorAndNoSignal) {
  const TemporaryFolder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), S_IRUSR | S_IWUSR), 0);
  EXPECT_THROW(log_to_file(path), std::system_error);  // at once: nobody reads it
  UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK));
  Reports reports;
  AccessLog log(text_only(), log_to_file(path), reports.taker());
  reader.reset();
  write_line(log, "to nobody");
  EXPECT_EQ(reports.first(), "access log \"" + path + "\": 1 lines lost: Broken pipe");
}

TEST(AccessLogPipeTest, AFullPipeIsWaitedForUntilTheGraceIsOver) {
  const TemporaryFolder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), S_IRUSR | S_IWUSR), 0);
  UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK));
  Reports reports;
  {
    AccessLog log(text_only(), log_to_file(path), reports.taker(), limits_with(1 << 20, 50ms));
    for (int i = 0; i < 5000; ++i) write_line(log, std::string(99, 'x'));
  }
  EXPECT_NE(reports.first().find("its reader did not read them"), std::string::npos);
}

}  // namespace
}  // namespace prowingen::access_log_parts
