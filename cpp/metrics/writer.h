// What families.cpp tells figures to: whoever writes them down, in a form of its own.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "processes/tally.h"

namespace prowingen::metrics {

enum class Kind : std::uint8_t { counter, gauge, histogram, info };

struct Family {
  std::string_view name;  // as its samples are called, but for a histogram's
  Kind kind;
  std::string_view unit;  // that the name has; empty: none
  std::string_view help;
};

class Writer {
 public:
  using Label = std::pair<std::string_view, std::string_view>;
  using Labels = std::initializer_list<Label>;

  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  virtual ~Writer() = default;

  /// What follows is of this family.
  virtual void begin(const Family& family) = 0;
  virtual void sample(Labels labels, std::uint64_t value) = 0;
  virtual void sample(Labels labels, double value) = 0;
  /// Of a family that is one.
  virtual void histogram(const cells::Histogram& histogram, const Tally::Sum& sum) = 0;
};

}  // namespace prowingen::metrics
