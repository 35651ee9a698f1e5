// What a line of the access log says.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "access_log/format.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;

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
                pid +
                R"(,"stream_id":null,"tls_protocol":null,"tls_cipher":null,)"
                R"("tls_server_name":null,"messages_received":null,"messages_sent":null,)"
                R"("request_id":null})");
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
                pid +
                R"(,"stream_id":null,"tls_protocol":null,"tls_cipher":null,)"
                R"("tls_server_name":null,"messages_received":null,"messages_sent":null,)"
                R"("request_id":null})");
}

TEST_F(AccessLogFormatTest, TellsOfTheMessagesOfAWebSocket) {
  const std::string format = "%{messages_received}x %{messages_sent}x";
  EXPECT_EQ(line(format), "- -");
  record.messages_received = 0;
  record.messages_sent = 12;
  EXPECT_EQ(line(format), "0 12");
  EXPECT_NE(line("json").find(R"("messages_received":0,"messages_sent":12,)"), std::string::npos);
}

TEST_F(AccessLogFormatTest, TellsOfTlsAndOfTheStream) {
  const std::string format =
      "%{SSL_PROTOCOL}x %{SSL_CIPHER}x %{SSL_TLS_SNI}x %{H2_STREAM_ID}x %({SSL_PROTOCOL}x)s";
  EXPECT_EQ(line(format), "- - - - -");
  record.tls_protocol = "TLSv1.3";
  record.tls_cipher = "TLS_AES_256_GCM_SHA384";
  record.tls_server_name = "example.org";
  record.stream = 5;
  EXPECT_EQ(line(format), "TLSv1.3 TLS_AES_256_GCM_SHA384 example.org 5 TLSv1.3");
  EXPECT_NE(line("json").find(R"("stream_id":5,"tls_protocol":"TLSv1.3",)"
                              R"("tls_cipher":"TLS_AES_256_GCM_SHA384",)"
                              R"("tls_server_name":"example.org",)"),
            std::string::npos);
  record.stream = 0;  // HTTP/3 begins with it
  EXPECT_EQ(line("%{H2_STREAM_ID}x"), "0");
}

TEST_F(AccessLogFormatTest, AForgedServerNameStaysInItsField) {
  record.tls_server_name = "a\" 200 \r\n\x1b";
  EXPECT_EQ(line("\"%{SSL_TLS_SNI}x\""), R"("a\x22 200 \x0d\x0a\x1b")");
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

}  // namespace
}  // namespace prowingen
