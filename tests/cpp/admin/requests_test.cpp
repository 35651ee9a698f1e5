#include "admin/requests.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prowingen::admin {
namespace {

constexpr std::string_view token = "0123456789abcdef";

RequestHead request(const std::vector<std::pair<std::string, std::string>>& fields) {
  RequestHead head;
  head.set_request_line("POST", "/-/control", {1, 1});
  for (const auto& [name, value] : fields) head.add_field(name, value);
  return head;
}

Bearer bearer(const std::string& value) {
  return check_bearer(request({{"Authorization", value}}), token);
}

TEST(Origin, IsTheHostOrThereIsNone) {
  EXPECT_TRUE(is_of_own_origin(request({{"Host", "a:1"}})));
  EXPECT_TRUE(is_of_own_origin(request({{"Host", "a:1"}, {"Origin", "http://A:1"}})));
  EXPECT_TRUE(is_of_own_origin(request({{"Host", "a"}, {"Origin", "https://a"}})));
  for (const std::string origin : {"http://b:1", "http://a", "http://a:12", "null", "a:1",
                                   "ftp://a:1", "http://a:1/", "http://a:1@b"}) {
    EXPECT_FALSE(is_of_own_origin(request({{"Host", "a:1"}, {"Origin", origin}}))) << origin;
  }
  EXPECT_FALSE(is_of_own_origin(request({{"Origin", "http://a"}})));
  EXPECT_FALSE(
      is_of_own_origin(request({{"Host", "a"}, {"Origin", "http://a"}, {"Origin", "http://a"}})));
}

TEST(OwnName, OfALoopbackAddressIsANumberOrLocalhost) {
  for (const std::string host : {"127.0.0.1:9", "127.0.0.1", "[::1]:9", "localhost", "LocalHost:9",
                                 "a.localhost:9", "10.0.0.1", "web:9", ""}) {
    EXPECT_TRUE(is_asked_by_own_name(host, "127.0.0.1")) << host;
  }
  for (const std::string host : {"evil.example:9", "localhost.evil.example", "127.0.0.1.nip.io",
                                 "notlocalhost.", "1.2.3.a"}) {
    EXPECT_FALSE(is_asked_by_own_name(host, "127.0.0.1")) << host;
    EXPECT_FALSE(is_asked_by_own_name(host, "::1")) << host;
    EXPECT_FALSE(is_asked_by_own_name(host, "::ffff:127.0.0.1")) << host;
    EXPECT_TRUE(is_asked_by_own_name(host, "192.0.2.1")) << host << ": it may be its name there";
    EXPECT_TRUE(is_asked_by_own_name(host, "")) << host << ": a Unix socket";
  }
}

TEST(ContentType, IsJsonWithAnyParameters) {
  EXPECT_TRUE(is_json("application/json"));
  EXPECT_TRUE(is_json("Application/JSON; charset=utf-8"));
  for (const std::string type :
       {"", "text/plain", "application/jsonx", "application/x-www-form-urlencoded",
        "text/plain; application/json", "application/json, text/plain"}) {
    EXPECT_FALSE(is_json(type)) << type;
  }
}

TEST(Token, IsRightOrNot) {
  EXPECT_EQ(bearer("Bearer 0123456789abcdef"), Bearer::right);
  EXPECT_EQ(bearer("bearer  0123456789abcdef "), Bearer::right);
  EXPECT_EQ(check_bearer(request({}), token), Bearer::missing);
  for (const std::string value :
       {"Bearer 0123456789abcdeg", "Bearer 1123456789abcdef", "Bearer 0123456789abcde",
        "Bearer 0123456789abcdef0", "Bearer 0123456789abcdef0123456789abcdef", "Bearer ", "Bearer",
        "Basic 0123456789abcdef", "0123456789abcdef", "Bearer \xff\xfe",
        "Bearer 0123456789ABCDEF"}) {
    EXPECT_EQ(bearer(value), Bearer::wrong) << value;
  }
  EXPECT_EQ(bearer(std::string("Bearer 0123456789abcdef\0x", 25)), Bearer::wrong);
}

TEST(Token, IsSaidOnce) {
  const std::string right = "Bearer 0123456789abcdef";
  EXPECT_EQ(check_bearer(request({{"Authorization", right}, {"authorization", right}}), token),
            Bearer::wrong);
}

TEST(Token, IsNoneWhereThereIsNone) {
  EXPECT_EQ(check_bearer(request({{"Authorization", "Bearer "}}), ""), Bearer::wrong);
}

TEST(Question, IsOneLine) {
  EXPECT_EQ(as_question("{}"), "{}\n");
  EXPECT_EQ(as_question("\n {\"v\": 1,\r\n \"a\": 2}\n\n"), "{\"v\": 1,   \"a\": 2}\n");
  EXPECT_EQ(as_question(""), "\n");
  EXPECT_EQ(as_question(std::string(longest_question - 1, 'x'))->size(), longest_question);
  EXPECT_EQ(as_question(std::string(longest_question, 'x')), std::nullopt);
}

TEST(Status, IsThatOfTheFirstLine) {
  const std::string refusal = R"({"v": 1, "ok": false, "error": {"code": ")";
  EXPECT_EQ(status_of(R"({"v": 1, "ok": true, "result": {}})"), 200);
  EXPECT_EQ(status_of(R"({"v": 1, "event": {"is": "begun"}})"), 200);
  EXPECT_EQ(status_of(refusal + "argument\", "), 400);
  EXPECT_EQ(status_of(refusal + "denied\", "), 403);
  EXPECT_EQ(status_of(refusal + "refused\", "), 409);
  EXPECT_EQ(status_of(refusal + "busy\", "), 503);
  EXPECT_EQ(status_of(refusal + "failed\", "), 500);
  EXPECT_EQ(status_of(refusal + "of a later version\", "), 500);
  EXPECT_GE(status_prefix, (refusal + "argument\"").size()) << "or it would not be told in time";
}

TEST(LineWatch, KnowsTheEndHoweverItIsCut) {
  const std::string whole = "{\"v\": 1, \"event\": {}}\n{\"v\": 1, \"ok\": true, \"result\": {}}\n";
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    LineWatch watch;
    watch.add(std::string_view(whole).substr(0, cut));
    EXPECT_EQ(watch.is_over(), cut == whole.size()) << cut;
    watch.add(std::string_view(whole).substr(cut));
    EXPECT_TRUE(watch.is_over()) << cut;
  }
}

TEST(LineWatch, OfEventsAloneIsNotOver) {
  LineWatch watch;
  watch.add("{\"v\": 1, \"event\": {\"is\": \"stopping\"}}\n");
  EXPECT_FALSE(watch.is_over());
  watch.add("{\"v\": 1, \"ok\": false}");
  EXPECT_FALSE(watch.is_over());
  watch.add("\n");
  EXPECT_TRUE(watch.is_over());
}

}  // namespace
}  // namespace prowingen::admin
