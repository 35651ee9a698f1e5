// The two forms of text in which Prometheus and its relatives read figures: its own, version 0.0.4,
// and OpenMetrics 1.0.
//
//   # HELP prowingen_x_total Things that happened.      # HELP prowingen_x Things that happened.
//   # TYPE prowingen_x_total counter                    # TYPE prowingen_x counter
//   prowingen_x_total{kind="a"} 3                       prowingen_x_total{kind="a"} 3
//                                                       # EOF
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "metrics/writer.h"

namespace prowingen::metrics {

enum class Form : std::uint8_t { prometheus, open_metrics };

/// The one that a client's Accept field prefers; Prometheus's own unless it says so.
Form choose_form(std::string_view accept);
std::string_view media_type(Form form);

class Text final : public Writer {
 public:
  explicit Text(Form form) : form_(form) {}

  void begin(const Family& family) override;
  void sample(Labels labels, std::uint64_t value) override;
  void sample(Labels labels, double value) override;
  void histogram(const cells::Histogram& histogram, const Tally::Sum& sum) override;
  /// All of it.
  std::string end();

 private:
  void name(std::string_view suffix, Labels labels);
  void number(std::uint64_t value);
  void number(double value);

  const Form form_;
  std::string_view family_;
  std::string out_;
};

}  // namespace prowingen::metrics
