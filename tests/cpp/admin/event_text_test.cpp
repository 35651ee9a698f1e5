// Events as programs read them: docs/admin_page.md says the same of each member.
#include "admin/event_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace prowingen::admin {
namespace {

using namespace std::chrono_literals;

const SteadyTime now(1000s);

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(EventText, TheFirstSaysWhatTheServerIs) {
  const auto text = server_event({"embedded", 8, true});
  EXPECT_TRUE(
      text.starts_with("retry: 1000\n\nevent: server\ndata: {\"version\":\"" PROWINGEN_VERSION
                       "\",\"engine\":\"embedded\",\"threads\":8,\"controls\":true,"));
  EXPECT_TRUE(has(text, R"("bounds":{"requests":[0.001,0.0025,0.005,)"));
  EXPECT_TRUE(text.ends_with("60]}}\n\n")) << text;
}

TEST(EventText, FiguresAreWhatWasCounted) {
  Scoreboard board(2);
  metrics::Picture picture;
  picture.wanted = 4;
  picture.sum[cells::request(0, 1, 2)] = 3;  // GET, HTTP/1.1, 2xx
  picture.sum[cells::request(2, 2, 5)] = 1;  // POST, HTTP/2, 5xx
  picture.sum[cells::refusal(431)] = 2;
  picture.sum[cells::duration.first + 1] = 4;
  picture.sum[cells::duration.sum()] = 1'500'000'000;
  picture.sum[cells::carried(Carried::tls_failures)] = 5;
  auto& slot = board.slot(1);
  slot.set(Score::pid, 77);
  slot.set(Score::workers, 8);
  slot.set(Score::workers_running, 1);
  slot.set(Score::connections_open, 3);
  slot.set(Score::connections_http2, 2);
  picture.workers.push_back({1, &slot});
  picture.doing.push_back(
      {{WorkerState::long_lived, 5, now - 250ms, now + 1s, "GET /\"\xff HTTP/1.1", "192.0.2.1"},
       {WorkerState::running, 6, now, std::nullopt, "x", ""}});
  const auto text = figures_event(picture, now, "it is about to stop");
  EXPECT_TRUE(
      text.starts_with("event: figures\ndata: {\"at\":1000.000000,"
                       "\"ready\":\"it is about to stop\",\"wanted\":4,"));
  EXPECT_TRUE(has(text, R"("requests":{"methods":{"GET":3,"POST":1},)"
                        R"("protocols":{"HTTP/1.1":3,"HTTP/2":1},"statuses":{"2xx":3,"5xx":1}})"));
  EXPECT_TRUE(has(text, R"("refusals":{"431":2})"));
  EXPECT_TRUE(has(text, R"("rejections":{"queue_full":0,"queue_timeout":0,"queue_target":0,)"
                        R"("rate_limit":0,"request_timeout":0},"cut":{})"));
  EXPECT_TRUE(
      has(text, R"("duration":{"counts":[0,4,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"sum":1.500000})"));
  EXPECT_TRUE(has(text, R"("tls":{"handshakes":0,"failed":5})"));
  EXPECT_TRUE(has(text, R"("workers":[{"worker":77,)"));
  EXPECT_TRUE(
      has(text, R"("connections":{"open":3,"http1":0,"http2":2,"http3":0,"websockets":0})"));
  EXPECT_TRUE(has(text, R"("threads":{"idle":7,"waiting_for_gil":0,"running":1,)"));
  EXPECT_TRUE(has(text,
                  R"("doing":[{"ident":5,"state":"long_lived","request":"GET /\"\ufffd HTTP/1.1",)"
                  R"("seconds":0.250000,"deadline":1.000000},{"ident":6,)"))
      << text;
  EXPECT_TRUE(text.ends_with("\"deadline\":null}]}]}\n\n"));
  EXPECT_EQ(text.find('\n', text.find("data:")), text.size() - 2) << "data are on one line";
}

TEST(EventText, SlowRequestsAreInTheirOrder) {
  const std::vector<Activity::Slow> slow{
      {now - 1500ms, 7, 1200ms, 300ms, 200, true, "GET /x HTTP/1.1"},
      {now, 8, 1ms, 0ms, 0, false, "-"},
  };
  EXPECT_EQ(slowest_event(slow, now),
            "event: slowest\ndata: {\"requests\":["
            "{\"ago\":1.500000,\"worker\":7,\"request\":\"GET /x HTTP/1.1\",\"status\":200,"
            "\"seconds\":1.200000,\"queued\":0.300000,\"complete\":true},"
            "{\"ago\":0.000000,\"worker\":8,\"request\":\"-\",\"status\":0,"
            "\"seconds\":0.001000,\"queued\":0.000000,\"complete\":false}]}\n\n");
}

}  // namespace
}  // namespace prowingen::admin
