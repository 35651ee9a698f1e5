#include "metrics/text.h"

#include <gtest/gtest.h>

namespace prowingen::metrics {
namespace {

std::string page(Form form) {
  Tally::Sum sum{};
  sum[cells::queue_wait.first] = 2;
  sum[cells::queue_wait.first + cells::queue_wait.bounds.size()] = 1;
  sum[cells::queue_wait.sum()] = 1'500'000'000;
  Text text(form);
  text.begin({"x_bytes_total", Kind::counter, "bytes", "Bytes."});
  text.sample({{"a", "1\"\\\n"}, {"b", "2"}}, std::uint64_t{3});
  text.begin({"y_info", Kind::info, "", "What."});
  text.sample({}, 0.25);
  text.begin({"z_seconds", Kind::histogram, "seconds", "Time."});
  text.histogram(cells::queue_wait, sum);
  return text.end();
}

TEST(Text, PrometheusHasItsOwnForm) {
  const auto text = page(Form::prometheus);
  EXPECT_TRUE(
      text.starts_with("# HELP x_bytes_total Bytes.\n"
                       "# TYPE x_bytes_total counter\n"
                       "x_bytes_total{a=\"1\\\"\\\\\\n\",b=\"2\"} 3\n"
                       "# HELP y_info What.\n"
                       "# TYPE y_info gauge\n"
                       "y_info 0.25\n"))
      << text;
  EXPECT_NE(text.find("z_seconds_bucket{le=\"0.0001\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("z_seconds_bucket{le=\"60.0\"} 2\n"), std::string::npos) << text;
  EXPECT_TRUE(
      text.ends_with("z_seconds_bucket{le=\"+Inf\"} 3\n"
                     "z_seconds_sum 1.5\n"
                     "z_seconds_count 3\n"))
      << text;
}

TEST(Text, OpenMetricsNamesFamiliesWithoutTheirEnds) {
  const auto text = page(Form::open_metrics);
  EXPECT_TRUE(
      text.starts_with("# HELP x_bytes Bytes.\n"
                       "# TYPE x_bytes counter\n"
                       "# UNIT x_bytes bytes\n"
                       "x_bytes_total{"))
      << text;
  EXPECT_NE(text.find("# TYPE y info\ny_info 0.25\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("z_seconds_count 3\n# EOF\n")) << text;
}

TEST(ChooseForm, TakesWhatIsLikedBest) {
  EXPECT_EQ(choose_form(""), Form::prometheus);
  EXPECT_EQ(choose_form("*/*"), Form::prometheus);
  EXPECT_EQ(choose_form("application/openmetrics-text"), Form::open_metrics);
  EXPECT_EQ(choose_form("Application/OpenMetrics-Text ; Version=1.0.0 ; Q=0.5, text/plain;q=0.4"),
            Form::open_metrics);
  EXPECT_EQ(choose_form("application/openmetrics-text;version=1.0.0;q=0.4,text/plain"),
            Form::prometheus);
  EXPECT_EQ(choose_form("application/openmetrics-text;version=2.0.0"), Form::prometheus);
  EXPECT_EQ(choose_form("application/openmetrics-text;q=0"), Form::prometheus);
  EXPECT_EQ(choose_form(";;,=,application/openmetrics-text;q=,;q=1"), Form::prometheus);
}

}  // namespace
}  // namespace prowingen::metrics
