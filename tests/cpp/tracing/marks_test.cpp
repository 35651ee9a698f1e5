// The fields by which a request is found again.
#include "tracing/marks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace prowingen::tracing {
namespace {

using namespace std::literals;

class NoTransport final : public Transport {
 public:
  void output_ready(std::shared_ptr<Exchange>, bool) override {}
  void body_wanted(std::shared_ptr<Exchange>) override {}
  void client_doubted(std::shared_ptr<Exchange>) override {}
  void flush() override {}
};

class MarksTest : public testing::Test {
 protected:
  void come(bool from_proxy, const std::vector<std::pair<std::string, std::string>>& fields) {
    exchange = std::make_shared<Exchange>(transport);
    auto peer = std::make_shared<ConnectionInfo>();
    peer->from_proxy = from_proxy;
    exchange->peer = std::move(peer);
    exchange->received_at = std::chrono::steady_clock::now();
    exchange->request.set_request_line("GET", "/", {1, 1});
    for (const auto& [name, value] : fields) exchange->request.add_field(name, value);
  }
  std::vector<std::string> all(std::string_view name) const {
    std::vector<std::string> values;
    const RequestHead& head = exchange->request;
    for (const FieldLine& field : head.fields()) {
      if (equals_ignoring_case(head.view(field.name), name)) {
        values.emplace_back(head.view(field.value));
      }
    }
    return values;
  }
  std::string marked(const Marks& marks, std::string_view name) {
    set_marks(marks, *exchange);
    const auto values = all(name);
    return values.size() == 1 ? values.front() : "there are " + std::to_string(values.size());
  }

  static constexpr Marks start{.request_start = true};
  static constexpr Marks trace{.trace_context = true};
  static constexpr Marks id{.request_id = true};
  NoTransport transport;
  std::shared_ptr<Exchange> exchange;
};

TEST_F(MarksTest, AreLeftAloneWhereNoneIsAskedFor) {
  come(false, {{"X-Request-Start", "t=1"}, {"traceparent", "x"}, {"X-Request-ID", "y"}});
  EXPECT_EQ(marked({}, "X-Request-Start"), "t=1");
  EXPECT_EQ(marked({}, "traceparent"), "x");
  EXPECT_EQ(marked({}, "X-Request-ID"), "y");
  EXPECT_FALSE(Marks().any());
}

TEST_F(MarksTest, StartIsTheTimeOfArrivalInMicroseconds) {
  come(false, {});
  exchange->received_at -= 5s;
  const auto value = marked(start, "X-Request-Start");
  ASSERT_TRUE(value.starts_with("t=")) << value;
  const std::chrono::system_clock::time_point when{
      std::chrono::microseconds(std::stoll(value.substr(2)))};
  const auto before = std::chrono::system_clock::now() - when;
  EXPECT_GE(before, 5s - 1ms);
  EXPECT_LT(before, 10s);
}

TEST_F(MarksTest, StartIsAProxysOwnIfThatIsBelieved) {
  come(true, {{"x-request-start", "t=1512379167.574"}, {"X-Queue-Start", "t=2"}});
  EXPECT_EQ(marked(start, "X-Request-Start"), "t=1512379167.574");
  EXPECT_EQ(all("X-Queue-Start").size(), 1U);
  come(false, {{"x-request-start", "t=1"}, {"X-Request-Start", "t=2"}, {"x-queue-start", "t=3"}});
  EXPECT_GT(marked(start, "X-Request-Start").size(), 10U);
  EXPECT_TRUE(all("X-Queue-Start").empty());
}

TEST_F(MarksTest, TraceGoesOnIfItIsOne) {
  const std::string whole = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
  come(false, {{"Traceparent", whole}, {"tracestate", "a=1"}, {"tracestate", "b=2"}});
  EXPECT_EQ(marked(trace, "traceparent"), whole);
  EXPECT_EQ(all("tracestate").size(), 2U);
}

TEST_F(MarksTest, TraceBeginsAnewIfItIsNone) {
  const std::regex made("00-[0-9a-f]{32}-[0-9a-f]{16}-01");
  const std::string whole = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
  const std::vector<std::vector<std::pair<std::string, std::string>>> heads{
      {{"tracestate", "a=1"}},
      {{"traceparent", "00-1-2-3"}, {"Tracestate", "a=1"}},
      {{"traceparent", whole}, {"traceparent", whole}, {"tracestate", "a=1"}}};
  for (const auto& head : heads) {
    come(true, head);
    const auto value = marked(trace, "traceparent");
    EXPECT_TRUE(std::regex_match(value, made)) << value;
    EXPECT_NE(value, whole);
    EXPECT_TRUE(all("tracestate").empty());
  }
}

TEST_F(MarksTest, IdIsAProxysOwnIfThatIsBelieved) {
  for (const auto& theirs : {"a"s, "01HV-7!~"s, std::string(128, 'x')}) {
    come(true, {{"x-request-id", theirs}});
    EXPECT_EQ(marked(id, "X-Request-ID"), theirs);
    come(false, {{"x-request-id", theirs}});
    EXPECT_NE(marked(id, "X-Request-ID"), theirs);
  }
}

TEST_F(MarksTest, IdIsMadeForOneThatIsNone) {
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (const auto& theirs : {""s, "a b"s, "a\tb"s, "\xC3\xA9"s, "\x7F"s, std::string(129, 'x')}) {
    come(true, {{"X-Request-ID", theirs}});
    const auto value = marked(id, "X-Request-ID");
    EXPECT_TRUE(std::regex_match(value, uuid)) << value;
  }
  come(true, {{"X-Request-ID", "a"}, {"X-Request-ID", "a"}});
  EXPECT_TRUE(std::regex_match(marked(id, "X-Request-ID"), uuid));
  come(true, {});
  EXPECT_TRUE(std::regex_match(marked(id, "X-Request-ID"), uuid));
}

TEST_F(MarksTest, RequestsGoOnMarked) {
  struct Next final : RequestSink {
    std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override {
      for (const auto& each : exchanges) seen.emplace_back(each->request.first("X-Request-ID"));
      return exchanges.size() - 1;
    }
    std::chrono::nanoseconds backlog() const override { return 7ns; }
    std::vector<std::string> seen;
  };
  Next next;
  Marking marking(id, next);
  std::vector<std::shared_ptr<Exchange>> exchanges;
  for (int i = 0; i < 3; ++i) {
    come(false, {});
    exchanges.push_back(exchange);
  }
  EXPECT_EQ(marking.submit(exchanges), 2U) << "as the next one says";
  EXPECT_EQ(marking.backlog(), 7ns);
  EXPECT_EQ(std::set(next.seen.begin(), next.seen.end()).size(), 3U);
  EXPECT_TRUE(std::ranges::all_of(next.seen, [](const auto& each) { return each.size() == 36; }));
}

}  // namespace
}  // namespace prowingen::tracing
