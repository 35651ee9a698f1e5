// The access log: what a line says, and that every line arrives or is counted.
#include "core/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <sstream>
#include <stdexcept>

#include "core/chunk.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// --- The format ----------------------------------------------------------------------------------

/// The local time zone of the process, for as long as it lives.
class TimeZone {
 public:
  explicit TimeZone(const char* zone) {
    if (const char* now = std::getenv("TZ")) before_ = now;
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  ~TimeZone() {
    before_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", before_.c_str(), 1);
    ::tzset();
  }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;

 private:
  std::string before_;
};

class AccessLogFormatTest : public testing::Test {
 protected:
  AccessLogFormatTest() {
    request.set_request_line("GET", "/a/b?x=1&y=2", {1, 1});
    request.add_field("Host", "example.org");
    request.add_field("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    request.add_field("referer", "http://example.org/start");
    request.add_field("USER-AGENT", "curl/8.0");
    response.add_field("Content-Type", "text/plain");
    record.request = &request;
    record.response = &response;
    record.remote_address = "192.0.2.7";
    record.remote_port = "50123";
    record.status = 200;
    record.body_bytes_sent = 2326;
    record.bytes_sent = 2500;
    record.bytes_received = 180;
    record.received = std::chrono::system_clock::time_point(971'211'336s + 45'678us);
    record.total_time = 1'234'567us;
    record.queue_time = 250us;
    record.app_time = 1'200'000us;
    record.scheme = "https";
    record.connection_requests = 3;
  }

  std::string line(std::string_view spec) const {
    std::string out;
    AccessLogFormat::compile(spec).render(record, out);
    return out;
  }

  RequestHead request;
  ResponseHead response;
  AccessRecord record;
  TimeZone zone{"WEST7"};  // seven hours west of Greenwich
};

using Expectations = std::vector<std::pair<std::string, std::string>>;

TEST_F(AccessLogFormatTest, FieldsOfApacheAndOurs) {
  const std::string pid = std::to_string(::getpid());
  const Expectations expectations = {
      {"%h %{remote}p %l %u", "192.0.2.7 50123 - Aladdin"},
      {"%t", "[10/Oct/2000:13:55:36 -0700]"},
      {"%{%Y-%m-%d %H:%M}t %{begin:%S}t", "2000-10-10 13:55 36"},
      {"%{sec}t %{msec}t %{usec}t", "971211336 971211336045 971211336045678"},
      {"%{msec_frac}t %{usec_frac}t", "045 045678"},
      {"%r|%m|%U|%q|%H", "GET /a/b?x=1&y=2 HTTP/1.1|GET|/a/b|?x=1&y=2|HTTP/1.1"},
      {"%s %>s %<s", "200 200 200"},
      {"%b %B %O %I", "2326 2326 2500 180"},
      {"%D %T %M %L", "1234567 1 1234 1.234567"},
      {"%{s}T %{ms}T %{us}T", "1 1234 1234567"},
      {"%f %a", "http://example.org/start curl/8.0"},
      {"%{Host}i %{user-agent}i %{content-type}o", "example.org curl/8.0 text/plain"},
      {"%p %P %{pid}P", pid + " " + pid + " " + pid},
      {"%k %{requests}x", "2 3"},
      {"%{queue}x %{queue}L %{app}x %{app}L", "250 0.000250 1200000 1.200000"},
      {"%{complete}x %{scheme}x %{target}x", "complete https /a/b?x=1&y=2"},
      {"%{time}x", "2000-10-10T13:55:36.045678-07:00"},
      {"100%% of %m\t", "100% of GET\t"},
  };
  for (const auto& [spec, expected] : expectations) EXPECT_EQ(line(spec), expected) << spec;
  record.complete = false;
  EXPECT_EQ(line("%{complete}x"), "cut");
}

TEST_F(AccessLogFormatTest, FieldsOfGunicorn) {
  const Expectations expectations = {
      {R"(%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s")", line("combined")},
      {"%(m)s %(U)s %(q)s %(H)s", "GET /a/b x=1&y=2 HTTP/1.1"},
      {"%(B)s %(T)s %(D)d %(M)d %(L)s", "2326 1 1234567 1234 1.234567"},
      {"%(p)s", "<" + std::to_string(::getpid()) + ">"},
      {"%({host}i)s|%({Content-Type}o)s", "example.org|text/plain"},
      {"%({queue}x)s %h", "250 192.0.2.7"},
  };
  for (const auto& [spec, expected] : expectations) EXPECT_EQ(line(spec), expected) << spec;
}

TEST_F(AccessLogFormatTest, NamedFormats) {
  const std::string common =
      R"(192.0.2.7 - Aladdin [10/Oct/2000:13:55:36 -0700] "GET /a/b?x=1&y=2 HTTP/1.1" 200 2326)";
  EXPECT_EQ(line("common"), common);
  EXPECT_EQ(line("combined"), common + R"( "http://example.org/start" "curl/8.0")");
}

TEST_F(AccessLogFormatTest, WhatIsMissingIsADash) {
  record = AccessRecord{};
  record.connection_requests = 0;
  const Expectations expectations = {
      {"%h %{remote}p %u %r %m %U %H %s %b", "- - - - - - - - -"},
      {"%f %a %{X}i %{X}o %{scheme}x", "- - - - -"},
      {"[%q] [%(q)s]", "[] []"},
      {"%B %O %I %D %L %k", "0 0 0 0 0.000000 0"},
  };
  for (const auto& [spec, expected] : expectations) EXPECT_EQ(line(spec), expected) << spec;
}

TEST_F(AccessLogFormatTest, PathOfEachFormOfTarget) {
  const Expectations expectations = {
      {"/p//q?a?b", "/p//q ?a?b"},
      {"http://h:80/p?q", "/p ?q"},
      {"http://h?q", "/ ?q"},
      {"http://h", "/ "},
      {"*", "* "},
      {"example.org:443", "example.org:443 "},
      {"/x?u=http://h/y", "/x ?u=http://h/y"},
  };
  for (const auto& [target, expected] : expectations) {
    request.set_request_line("GET", target, {2, 0});
    EXPECT_EQ(line("%U %q"), expected) << target;
    EXPECT_EQ(line("%H"), "HTTP/2.0");
  }
}

TEST_F(AccessLogFormatTest, UserOfBasicCredentialsOnly) {
  const Expectations expectations = {
      {"basic  QTo=", "A"},                            // A:
      {"Basic QWxhZGRpbg==", "-"},                     // no colon
      {"Basic Ojo=", R"("")"},                         // an empty name
      {"Basic !!!", "-"},                              // not base64
      {"Bearer QTo=", "-"},                            //
      {"Basic", "-"},                                  //
      {"Basic YSBbMTBdICI6", R"(a\x20[10]\x20\x22)"},  // a [10] ":
  };
  for (const auto& [value, expected] : expectations) {
    request.clear();
    request.add_field("Authorization", value);
    EXPECT_EQ(line("%u"), expected) << value;
  }
  request.clear();
  std::string many_users = "Basic ";
  for (int i = 0; i < 1000; ++i) many_users += "QUFB";
  request.add_field("Authorization", many_users);
  EXPECT_EQ(line("%u"), std::string(256, 'A'));
}

TEST_F(AccessLogFormatTest, TextFormatsEscapeWhatCouldLeaveAField) {
  std::string all_bytes;
  for (int c = 0; c < 256; ++c) all_bytes += static_cast<char>(c);
  request.add_field("X", all_bytes);
  response.add_field("X", "a\r\n\"\\");
  const std::string value = line("%{X}i");
  EXPECT_TRUE(value.starts_with(R"(\x00\x01)"));
  EXPECT_NE(value.find(R"(\x1f !\x22#$)"), std::string::npos);
  EXPECT_NE(value.find(R"([\x5c])"), std::string::npos);
  EXPECT_NE(value.find(R"(~\x7f\x80)"), std::string::npos);
  EXPECT_TRUE(value.ends_with(R"(\xfe\xff)"));
  EXPECT_EQ(line("%{X}o"), R"(a\x0d\x0a\x22\x5c)");
}

TEST_F(AccessLogFormatTest, OneUnsafeByteIsFoundWhereverItStands) {
  for (const char c : {'\n', '"', '\\', '\x7f', '\x80', '\xff'}) {
    for (std::size_t at = 0; at < 20; ++at) {
      std::string agent(20, 'z');
      agent[at] = c;
      request.clear();
      request.add_field("User-Agent", agent);
      const std::string shown = line("%a");
      EXPECT_EQ(shown.size(), 23u);
      EXPECT_EQ(shown.substr(at, 2), "\\x");
    }
  }
}

TEST_F(AccessLogFormatTest, TimeFollowsTheRecordFromSecondToSecond) {
  const AccessLogFormat format = AccessLogFormat::compile("%t");
  std::string out;
  for (const auto step : {0s, 24s, -24s}) {
    record.received += step;
    format.render(record, out);
  }
  EXPECT_EQ(out,
            "[10/Oct/2000:13:55:36 -0700][10/Oct/2000:13:56:00 -0700][10/Oct/2000:13:55:36 -0700]");
}

TEST_F(AccessLogFormatTest, TimeEastOfGreenwichByHalfAnHour) {
  const TimeZone india("IST-5:30");
  record.received += 1s;  // another second than any test before: each is broken down once
  EXPECT_EQ(line("%t %{time}x"), "[11/Oct/2000:02:25:37 +0530] 2000-10-11T02:25:37.045678+05:30");
}

TEST_F(AccessLogFormatTest, ErrorsNameFieldColumnAndRemedy) {
  const std::vector<std::vector<std::string>> expectations = {
      {"%h %S", "unknown field \"%S\"", "column 4", "%s"},
      {"%h %{que}x", "\"%{que}x\"", "column 4", "%{queue}x"},
      {"%(Z)s", "\"%(Z)s\"", "column 1", "%({Name}i)s"},
      {"%{X}h", "\"%{X}h\"", "column 1", "%h"},
      {"%i", "\"%i\"", "column 1", "%{Name}i"},
      {"a %", "unfinished field", "column 3", "%%"},
      {"%(h", "unfinished field", "column 1", "%(h)s"},
      {"%(h)-10s", "unfinished field", "column 1", "without a width"},
      {"%{Host", "without \"}\"", "column 2", "%{Host}i"},
      {"%{}i", "empty \"{}\"", "column 2", "%{Host}i"},
      {"%({wsgi.x}e)s", "\"%({wsgi.x}e)s\"", "column 1", "%{Name}i"},
      {"%{end:%S}t", "\"%{end:%S}t\"", "column 1", "%D"},
      {"%h\n", "control character", "column 3", "one line"},
      {"combind", "no field in \"combind\"", "combined", "json"},
      {"", "no field", "common", "%h"},
  };
  for (const auto& expectation : expectations) {
    try {
      AccessLogFormat::compile(expectation[0]);
      ADD_FAILURE() << "accepted " << expectation[0];
    } catch (const std::invalid_argument& error) {
      for (const std::string& part : std::span(expectation).subspan(1)) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
            << error.what() << " lacks " << part;
      }
    }
  }
}

TEST_F(AccessLogFormatTest, JsonHasAFixedSetOfKeys) {
  const std::string pid = std::to_string(::getpid());
  EXPECT_EQ(line("json"),
            R"({"time":"2000-10-10T13:55:36.045678-07:00","remote_address":"192.0.2.7",)"
            R"("remote_port":"50123","user":"Aladdin","scheme":"https","host":"example.org",)"
            R"("method":"GET","target":"/a/b?x=1&y=2","path":"/a/b","query":"x=1&y=2",)"
            R"("protocol":"HTTP/1.1","status":200,"body_bytes_sent":2326,"bytes_sent":2500,)"
            R"("bytes_received":180,"total_time":1.234567,"queue_time":0.000250,)"
            R"("app_time":1.200000,"complete":true,"connection_requests":3,)"
            R"("referer":"http://example.org/start","user_agent":"curl/8.0","pid":)" +
                pid + "}");
  const auto received = record.received;
  record = AccessRecord{};
  record.received = received;
  record.complete = false;
  EXPECT_EQ(line("json"),
            R"({"time":"2000-10-10T13:55:36.045678-07:00","remote_address":null,)"
            R"("remote_port":null,"user":null,"scheme":null,"host":null,"method":null,)"
            R"("target":null,"path":null,"query":null,"protocol":null,"status":null,)"
            R"("body_bytes_sent":0,"bytes_sent":0,"bytes_received":0,"total_time":0.000000,)"
            R"("queue_time":0.000000,"app_time":0.000000,"complete":false,)"
            R"("connection_requests":1,"referer":null,"user_agent":null,"pid":)" +
                pid + "}");
}

TEST_F(AccessLogFormatTest, JsonIsValidAsciiWhateverTheClientSent) {
  const std::string bad = R"(\ufffd)";  // a replaced byte
  const Expectations expectations = {
      {"plain/", "plain/"},
      {"\"\\\b\n\x01\x7f", R"(\"\\\u0008\u000a\u0001\u007f)"},
      {"caf\xC3\xA9 \xE2\x82\xAC", R"(caf\u00e9 \u20ac)"},
      {"\xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF", R"(\ud83d\ude00 \udbff\udfff)"},
      {"\xE2\x80\xA8\xC2\x85", R"(\u2028\u0085)"},  // line ends to lenient readers
      {"\xFF\x80z", bad + bad + "z"},               // never UTF-8
      {"\xC3", bad},                                // cut short
      {"\xC3(", bad + "("},                         // no continuation
      {"\xC0\xAF", bad + bad},                      // overlong
      {"\xE0\x80\xAF", bad + bad + bad},            // overlong
      {"\xED\xA0\x80", bad + bad + bad},            // a surrogate
      {"\xF4\x90\x80\x80", bad + bad + bad + bad},  // above U+10FFFF
  };
  for (const auto& [sent, expected] : expectations) {
    request.clear();
    request.set_request_line("GET", "/?" + sent, {1, 1});
    request.add_field("User-Agent", sent);
    EXPECT_NE(line("json").find("\"user_agent\":\"" + expected + "\","), std::string::npos);
    EXPECT_NE(line("json").find("\"query\":\"" + expected + "\","), std::string::npos);
  }
}

// --- The log -------------------------------------------------------------------------------------

/// A folder of its own for each test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "access_log_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// What the log reported; any thread.
class Reports {
 public:
  AccessLog::Report taker() {
    return [this](std::string text) {
      const std::lock_guard lock(mutex_);
      texts_.push_back(std::move(text));
      changed_.notify_all();
    };
  }
  /// Waits for the first one.
  std::string first() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !texts_.empty(); });
    return texts_.front();
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return texts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
};

/// A sink that takes nothing until told to, or fails as told to.
class GatedSink final : public LogSink {
 public:
  Delivered deliver(std::string_view lines, milliseconds patience, bool /*last*/) override {
    std::unique_lock lock(mutex_);
    ++calls_;
    changed_.notify_all();
    if (!changed_.wait_for(lock, patience, [&] { return open_; })) return {};
    if (error_) {
      const std::size_t taken = std::min(taken_before_error_, lines.size());
      text_ += lines.substr(0, taken);
      return {taken, error_};
    }
    text_ += lines;
    changed_.notify_all();
    return {lines.size(), {}};
  }
  std::string description() const override { return "gate"; }

  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void fail(std::errc error, std::size_t taken_before) {
    const std::lock_guard lock(mutex_);
    error_ = std::make_error_code(error);
    taken_before_error_ = taken_before;
  }
  void recover() {
    const std::lock_guard lock(mutex_);
    error_ = {};
  }
  void await_call() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_ > 0; });
  }
  void await_text(std::string_view text) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return text_ == text; });
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::error_code error_;
  std::size_t taken_before_error_ = 0;
  int calls_ = 0;
  bool open_ = false;
};

/// Logs a line that is `text`.
void write_line(AccessLog& log, const std::string& text) {
  AccessRecord record;
  record.scheme = text;
  log.write(record);
}

AccessLogFormat text_only() { return AccessLogFormat::compile("%{scheme}x"); }

AccessLogLimits limits_with(std::size_t buffer, milliseconds grace) {
  AccessLogLimits limits;
  limits.buffer_limit = buffer;
  limits.grace = grace;
  return limits;
}

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

// --- Pipes ---------------------------------------------------------------------------------------

TEST(AccessLogTest, TwoLogsShareAPipedStdoutWithoutMixingTheirLines) {
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

TEST(AccessLogTest, ANamedPipeWhoseReaderLeftIsAnErrorAndNoSignal) {
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

TEST(AccessLogTest, AFullPipeIsWaitedForUntilTheGraceIsOver) {
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

// --- PullSink ------------------------------------------------------------------------------------

TEST(PullSinkTest, ATakerGetsEveryLineAlsoAfterTheLogHasStopped) {
  const auto sink = std::make_shared<PullSink>();
  constexpr int count = 10'000;
  {
    AccessLog log(text_only(), sink, {});
    for (int i = 0; i < count; ++i) write_line(log, std::to_string(i));
  }
  int next = 0;
  std::vector<std::string> lines{"replaced"};
  while (sink->take(lines)) {
    EXPECT_LE(lines.size(), 1024u);
    for (const std::string& line : lines) EXPECT_EQ(line, std::to_string(next++));
  }
  EXPECT_EQ(next, count);
  EXPECT_TRUE(lines.empty());
  EXPECT_FALSE(sink->take(lines));
}

TEST(PullSinkTest, ATakerThatWaitsIsWoken) {
  const auto sink = std::make_shared<PullSink>();
  std::vector<std::string> all;
  std::thread taker([&] {
    std::vector<std::string> lines;
    while (sink->take(lines)) all.insert(all.end(), lines.begin(), lines.end());
  });
  {
    AccessLog log(text_only(), sink, {});
    for (int i = 0; i < 20; ++i) {
      write_line(log, "line");
      EXPECT_TRUE(log.flush());
    }
  }
  taker.join();
  EXPECT_EQ(all, std::vector<std::string>(20, "line"));
}

TEST(PullSinkTest, HoldsOneBatchAndTheLogTheRest) {
  PullSink sink;
  EXPECT_EQ(sink.deliver("a\nb\n", 0ms, false).bytes, 4u);
  EXPECT_EQ(sink.deliver("c\n", 0ms, false).bytes, 0u);
  EXPECT_EQ(sink.deliver("c\n", 0ms, true).bytes, 2u);
  std::vector<std::string> lines;
  EXPECT_TRUE(sink.take(lines));
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(PullSinkTest, ATakerThatWantsNoMoreTurnsLinesAway) {
  const auto sink = std::make_shared<PullSink>();
  Reports reports;
  AccessLog log(text_only(), sink, reports.taker());
  sink->close();
  write_line(log, "unwanted");
  EXPECT_EQ(reports.first(), "access log callable: 1 lines lost: Broken pipe");
  EXPECT_EQ(log.lines_lost(), 1u);
}

}  // namespace
}  // namespace prowingen
