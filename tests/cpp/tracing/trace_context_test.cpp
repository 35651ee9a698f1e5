// traceparent, as W3C Trace Context has it.
#include "tracing/trace_context.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tracing/random_text.h"

namespace prowingen::tracing {
namespace {

const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string parent = "00f067aa0ba902b7";

std::string with(const std::string& version, const std::string& flags = "01") {
  return version + "-" + trace + "-" + parent + "-" + flags;
}

TEST(TraceParent, IsAnyWithTheDigitsOfItsVersion) {
  for (const auto& text : {with("00"), with("00", "00"), with("00", "ff"), with("01"), with("fe"),
                           with("cc") + "-what-the-future-will-be-like", with("cc") + "-"}) {
    EXPECT_TRUE(is_trace_parent(text)) << text;
  }
}

TEST(TraceParent, IsNothingElse) {
  const std::string zero_trace(32, '0');
  const std::string zero_parent(16, '0');
  for (const auto& text : {std::string(),
                           std::string("00"),
                           with("ff"),
                           with("0"),
                           with("000"),
                           with("0A"),
                           with("00") + "-",
                           with("00") + "-more",
                           with("00") + " ",
                           " " + with("00"),
                           with("cc") + "more",
                           with("00", "1"),
                           with("00", "0g"),
                           with("00", ""),
                           "00-" + zero_trace + "-" + parent + "-01",
                           "00-" + trace + "-" + zero_parent + "-01",
                           "00-" + trace.substr(1) + "-" + parent + "-01",
                           "00-" + trace + "0-" + parent + "-01",
                           "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + parent + "-01",
                           "00_" + trace + "-" + parent + "-01",
                           "00-" + trace + "_" + parent + "-01",
                           "00-" + trace + "-" + parent + "_01",
                           with("00") + "," + with("00")}) {
    EXPECT_FALSE(is_trace_parent(text)) << text;
  }
}

TEST(TraceParent, OfANewTraceIsOneEachTime) {
  std::set<std::string> made;
  for (int i = 0; i < 1000; ++i) {
    made.emplace(view_of(make_trace_parent()));
    EXPECT_TRUE(is_trace_parent(*made.rbegin())) << *made.rbegin();
    EXPECT_TRUE(made.rbegin()->ends_with("-01"));
  }
  EXPECT_EQ(made.size(), 1000U);
}

}  // namespace
}  // namespace prowingen::tracing
