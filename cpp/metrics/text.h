// The two forms of text in which Prometheus and its relatives read figures: its own, version 0.0.4,
// and OpenMetrics 1.0.
//
//   # HELP prowingen_x_total Things that happened.      # HELP prowingen_x Things that happened.
//   # TYPE prowingen_x_total counter                    # TYPE prowingen_x counter
//   prowingen_x_total{kind="a"} 3                       prowingen_x_total{kind="a"} 3
//                                                       # EOF
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "processes/tally.h"

namespace prowingen::metrics {

enum class Form : std::uint8_t { prometheus, open_metrics };

/// The one that a client's Accept field prefers; Prometheus's own unless it says so.
Form choose_form(std::string_view accept);
std::string_view media_type(Form form);

enum class Kind : std::uint8_t { counter, gauge, histogram, info };

struct Family {
  std::string_view name;  // as its samples are called, but for a histogram's
  Kind kind;
  std::string_view unit;  // that the name has; empty: none
  std::string_view help;
};

class Text {
 public:
  using Label = std::pair<std::string_view, std::string_view>;
  using Labels = std::initializer_list<Label>;

  explicit Text(Form form) : form_(form) {}

  /// What follows is of this family.
  void begin(const Family& family);
  void sample(Labels labels, std::uint64_t value);
  void sample(Labels labels, double value);
  /// Of a family that is one.
  void histogram(const cells::Histogram& histogram, const Tally::Sum& sum);
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
