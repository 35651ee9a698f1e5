#include "statsd/lines.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "metrics/families.h"

namespace prowingen::statsd {
namespace {

using metrics::Kind;

Lines::Rules rules(Form form, std::size_t datagram_size = 65000) {
  return {form, "shop.", {"env:prod", "a/b"}, datagram_size};
}

// Some of each kind, and what a page has in common with it.
std::string told(Form form) {
  Lines lines(rules(form));
  lines.begin({"prowingen_requests_total", Kind::counter, "", "Requests."});
  lines.sample({{"method", "GET"}, {"protocol", "HTTP/1.1"}, {"status", "2xx"}}, std::uint64_t{3});
  lines.sample({{"method", "PUT"}, {"protocol", "HTTP/2"}, {"status", "2xx"}}, std::uint64_t{0});
  lines.begin({"prowingen_cpu_seconds_total", Kind::counter, "seconds", "Time."});
  lines.sample({{"mode", "user"}}, 1.234567891);
  lines.begin({"prowingen_threads", Kind::gauge, "", "Threads."});
  lines.sample({{"worker", "7"}, {"state", "idle"}}, std::uint64_t{2});
  lines.sample({{"worker", "7"}, {"state", "running"}}, std::uint64_t{0});
  lines.sample({{"worker", "8"}, {"state", "idle"}}, std::uint64_t{4});
  lines.begin({"prowingen_stalled_seconds", Kind::gauge, "seconds", "Time."});
  lines.sample({{"worker", "7"}}, 0.25);
  lines.sample({{"worker", "8"}}, 3.0);
  lines.begin({"prowingen_sent_bytes_total", Kind::counter, "bytes", "Bytes."});
  lines.sample({}, std::uint64_t{9'007'199'254'740'992});
  lines.begin({"prowingen_build_info", Kind::info, "", "Version."});
  lines.sample({{"version", "1.2,3|#\n"}}, std::uint64_t{1});
  std::string all;
  for (const auto& datagram : lines.end()) all.append(datagram).append("\n");
  return all;
}

TEST(Lines, OfPlainStatsdHaveLabelsInTheirNames) {
  EXPECT_EQ(told(Form::plain),
            "shop.requests.GET.HTTP_1_1.2xx:3|c\n"
            "shop.cpu_milliseconds.user:1234.567891|c\n"
            "shop.threads.idle:6|g\n"
            "shop.threads.running:0|g\n"
            "shop.stalled_milliseconds:3000|g\n"
            "shop.sent_bytes:9007199254740992|c\n");
}

TEST(Lines, OfDogStatsDHaveLabelsAsTags) {
  EXPECT_EQ(told(Form::dogstatsd),
            "shop.requests:3|c|#env:prod,a/b,method:GET,protocol:HTTP/1.1,status:2xx\n"
            "shop.cpu_milliseconds:1234.567891|c|#env:prod,a/b,mode:user\n"
            "shop.threads:2|g|#env:prod,a/b,worker:7,state:idle\n"
            "shop.threads:0|g|#env:prod,a/b,worker:7,state:running\n"
            "shop.threads:4|g|#env:prod,a/b,worker:8,state:idle\n"
            "shop.stalled_milliseconds:250|g|#env:prod,a/b,worker:7\n"
            "shop.stalled_milliseconds:3000|g|#env:prod,a/b,worker:8\n"
            "shop.sent_bytes:9007199254740992|c|#env:prod,a/b\n"
            "shop.build_info:1|g|#env:prod,a/b,version:1.2_3___\n");
}

TEST(Lines, TellHistogramsAsCountersAndQuantiles) {
  Tally::Sum sum{};
  sum[cells::duration.first] = 50;      // up to 1 ms
  sum[cells::duration.first + 3] = 50;  // 5 to 10 ms
  sum[cells::duration.sum()] = 400'500'000;
  Lines lines({Form::plain, "", {}, 65000});
  lines.begin({"prowingen_request_duration_seconds", Kind::histogram, "seconds", "Time."});
  lines.histogram(cells::duration, sum);
  const auto datagrams = lines.end();
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0],
            "request_duration_milliseconds.sum:400.5|c\n"
            "request_duration_milliseconds.count:100|c\n"
            "request_duration_milliseconds.p50:1|g\n"
            "request_duration_milliseconds.p90:9|g\n"
            "request_duration_milliseconds.p99:9.9|g");
}

TEST(Lines, SayNothingOfAHistogramThatCountedNothing) {
  Lines lines(rules(Form::plain));
  lines.begin({"prowingen_x_seconds", Kind::histogram, "seconds", "Time."});
  lines.histogram(cells::duration, Tally::Sum{});
  EXPECT_TRUE(lines.end().empty());
}

TEST(Quantile, IsTheLastBoundForWhatIsLonger) {
  Tally::Sum sum{};
  sum[cells::duration.first + cells::duration.bounds.size()] = 3;
  EXPECT_EQ(quantile(cells::duration, sum, 0.5), 60'000.0);
  sum[cells::duration.first + 1] = 4;  // 1 to 2.5 ms
  EXPECT_EQ(quantile(cells::duration, sum, 2.0 / 7), 1.75);
}

// Every family that the page of metrics has is told here, too.
TEST(Lines, HaveEveryFamily) {
  metrics::Picture picture;
  picture.sum.fill(1);
  Scoreboard board(1);
  board.clear(0);
  picture.workers.push_back({0, &board.slot(0)});
  const auto page = metrics::render(metrics::Form::prometheus, picture);
  Lines lines(rules(Form::dogstatsd));
  metrics::write(lines, picture);
  std::string all = "\n";
  for (const auto& datagram : lines.end()) all.append(datagram).append("\n");
  std::size_t families = 0;
  constexpr std::string_view begin = "# TYPE prowingen_";
  for (auto at = page.find(begin); at != std::string::npos; at = page.find(begin, at + 1)) {
    const auto from = at + begin.size();
    auto name = page.substr(from, page.find(' ', from) - from);
    for (const std::string_view suffix : {"_total", "_seconds"}) {
      if (name.ends_with(suffix)) name.erase(name.size() - suffix.size());
    }
    EXPECT_NE(all.find("\nshop." + name), std::string::npos) << name;
    ++families;
  }
  EXPECT_GT(families, 40U);
}

TEST(Packer, FillsDatagramsAndBreaksNoLine) {
  Packer packer(20);
  for (const auto* line : {"12345678", "abcdefghijk", "1234567890", "1234567890", "x", "y"}) {
    packer.add(line);
  }
  packer.add("a line that is longer than a datagram");
  packer.add("z");
  EXPECT_EQ(packer.take(),
            (std::vector<std::string>{"12345678\nabcdefghijk", "1234567890", "1234567890\nx\ny",
                                      "a line that is longer than a datagram", "z"}));
  EXPECT_TRUE(packer.take().empty());
}

TEST(Lines, GoIntoDatagramsOfThatSize) {
  metrics::Picture picture;
  picture.sum.fill(1);
  for (const std::size_t size : {1432U, 8192U}) {
    Lines lines(rules(Form::dogstatsd, size));
    metrics::write(lines, picture);
    const auto datagrams = lines.end();
    ASSERT_GT(datagrams.size(), 3U);
    for (std::size_t i = 0; i < datagrams.size(); ++i) {
      EXPECT_LE(datagrams[i].size(), size);
      if (i + 1 < datagrams.size()) {  // the next one's first line did not fit
        const auto next = datagrams[i + 1].substr(0, datagrams[i + 1].find('\n'));
        EXPECT_GT(datagrams[i].size() + 1 + next.size(), size);
      }
    }
  }
}

}  // namespace
}  // namespace prowingen::statsd
