// Figures as lines of statsd, packed into datagrams.
//
//   plain      prowingen.requests.GET.HTTP_1_1.2xx:3|c
//   DogStatsD  prowingen.requests:3|c|#env:prod,method:GET,protocol:HTTP/1.1,status:2xx
//
// What is told here as a counter is told as what came since the last push. Times are milliseconds,
// as statsd has them. Plain statsd has no labels, and so no way to say of which process something
// is: gauges of all of them are one, their sum; of times the longest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/writer.h"

namespace prowingen::statsd {

enum class Form : std::uint8_t { plain, dogstatsd };

/// Lines, as many to each datagram as go into it.
class Packer {
 public:
  explicit Packer(std::size_t datagram_size) : size_(datagram_size) {}

  void add(std::string_view line);
  /// What there is; it is empty then.
  std::vector<std::string> take();

 private:
  const std::size_t size_;
  std::vector<std::string> datagrams_;
};

class Lines final : public metrics::Writer {
 public:
  struct Rules {
    Form form = Form::plain;
    std::string prefix;             // before each name
    std::vector<std::string> tags;  // of each line; DogStatsD alone
    std::size_t datagram_size = 0;
  };

  explicit Lines(const Rules& rules);

  void begin(const metrics::Family& family) override;
  void sample(Labels labels, std::uint64_t value) override;
  void sample(Labels labels, double value) override;
  void histogram(const cells::Histogram& histogram, const Tally::Sum& sum) override;
  /// All of them, as datagrams.
  std::vector<std::string> end();

 private:
  void add(Labels labels, double value);
  void line(std::string_view name, double value, char type, std::string_view tags);
  std::string name_with(Labels labels) const;
  std::string tags_with(Labels labels) const;
  void tell_gauges();

  const Form form_;
  const std::string prefix_;
  std::string tags_;  // of each line, with commas between them
  Packer packer_;
  metrics::Kind kind_ = metrics::Kind::gauge;
  bool is_time_ = false;
  std::string name_;                      // of the family that is being told
  std::map<std::string, double> gauges_;  // of this family, by name; of plain statsd
};

/// The value below which that share of what a histogram counted is, in milliseconds, as far as its
/// buckets tell; it has counted something.
double quantile(const cells::Histogram& histogram, const Tally::Sum& sum, double share);

}  // namespace prowingen::statsd
