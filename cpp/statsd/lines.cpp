#include "statsd/lines.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace prowingen::statsd {
namespace {

using metrics::Kind;

constexpr double milliseconds_in_second = 1e3;
constexpr double nanoseconds_in_millisecond = 1e6;
constexpr std::string_view own_prefix = "prowingen_";
constexpr std::string_view total = "_total";
constexpr std::string_view seconds = "_seconds";
constexpr std::string_view milliseconds = "_milliseconds";
constexpr std::string_view of_one_process = "worker";

constexpr std::array<std::pair<std::string_view, double>, 3> quantiles{
    std::pair{".p50", 0.5}, std::pair{".p90", 0.9}, std::pair{".p99", 0.99}};

// Graphite's names have dots between their parts, and statsd's lines colons and bars.
std::string part_of_name(std::string_view value) {
  std::string part(value);
  for (char& c : part) {
    const bool stays = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    if (!stays) c = '_';
  }
  return part;
}

std::string tag_value(std::string_view value) {
  std::string text(value);
  for (char& c : text) {
    if (c == '|' || c == ',' || c == '#' || c <= ' ') c = '_';
  }
  return text;
}

// Without an exponent, which not all receivers read; to a nanosecond, if it is milliseconds.
std::string number(double value) {
  constexpr int decimals = 6;
  std::array<char, 64> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                 std::chars_format::fixed, decimals);
  if (end.ec != std::errc()) return "0";
  std::string text(digits.data(), end.ptr);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

void Packer::add(std::string_view line) {
  const bool fits = !datagrams_.empty() && datagrams_.back().size() + 1 + line.size() <= size_;
  if (!fits) {
    datagrams_.emplace_back(line);
  } else {
    datagrams_.back().append("\n").append(line);
  }
}

std::vector<std::string> Packer::take() { return std::exchange(datagrams_, {}); }

double quantile(const cells::Histogram& histogram, const Tally::Sum& sum, double share) {
  double count = 0;
  for (std::size_t i = 0; i <= histogram.bounds.size(); ++i) {
    count += static_cast<double>(sum[histogram.first + i]);
  }
  const double wanted = share * count;
  double below = 0;
  double lower = 0;
  for (std::size_t i = 0; i < histogram.bounds.size(); ++i) {
    const auto in_bucket = static_cast<double>(sum[histogram.first + i]);
    const double upper =
        static_cast<double>(histogram.bounds[i].count()) / nanoseconds_in_millisecond;
    if (in_bucket > 0 && below + in_bucket >= wanted) {
      return lower + (upper - lower) * (wanted - below) / in_bucket;
    }
    below += in_bucket;
    lower = upper;
  }
  return lower;  // it is longer, and nobody knows by how much
}

Lines::Lines(const Rules& rules)
    : form_(rules.form), prefix_(rules.prefix), packer_(rules.datagram_size) {
  for (const auto& tag : rules.tags) tags_.append(tags_.empty() ? "" : ",").append(tag);
}

void Lines::begin(const metrics::Family& family) {
  tell_gauges();
  kind_ = family.kind;
  is_time_ = family.unit == "seconds";
  std::string_view name = family.name;
  if (name.starts_with(own_prefix)) name.remove_prefix(own_prefix.size());
  if (name.ends_with(total)) name.remove_suffix(total.size());
  name_ = prefix_;
  if (name.ends_with(seconds)) {
    name.remove_suffix(seconds.size());
    name_.append(name).append(milliseconds);
  } else {
    name_.append(name);
  }
}

void Lines::sample(Labels labels, std::uint64_t value) { add(labels, static_cast<double>(value)); }

void Lines::sample(Labels labels, double value) {
  add(labels, is_time_ ? value * milliseconds_in_second : value);
}

void Lines::add(Labels labels, double value) {
  const char type = kind_ == Kind::counter ? 'c' : 'g';
  if (kind_ == Kind::counter && value == 0) return;
  if (form_ == Form::dogstatsd) return line(name_, value, type, tags_with(labels));
  if (kind_ == Kind::counter) return line(name_with(labels), value, type, {});
  if (kind_ == Kind::info) return;  // its value is nothing, and its labels are all it has
  double& all = gauges_[name_with(labels)];
  all = is_time_ ? std::max(all, value) : all + value;
}

void Lines::histogram(const cells::Histogram& histogram, const Tally::Sum& sum) {
  double count = 0;
  for (std::size_t i = 0; i <= histogram.bounds.size(); ++i) {
    count += static_cast<double>(sum[histogram.first + i]);
  }
  const auto tell = [&](std::string_view what, double value, char type) {
    line(std::string(name_).append(what), value, type, tags_);
  };
  const auto took = static_cast<double>(sum[histogram.sum()]) / nanoseconds_in_millisecond;
  // An addition in another process may have come to one of them alone.
  if (took != 0) tell(".sum", took, 'c');
  if (count == 0) return;
  tell(".count", count, 'c');
  for (const auto& [what, share] : quantiles) tell(what, quantile(histogram, sum, share), 'g');
}

std::vector<std::string> Lines::end() {
  tell_gauges();
  return packer_.take();
}

std::string Lines::name_with(Labels labels) const {
  std::string name = name_;
  for (const auto& [label, value] : labels) {
    if (label != of_one_process) name.append(".").append(part_of_name(value));
  }
  return name;
}

std::string Lines::tags_with(Labels labels) const {
  std::string tags = tags_;
  for (const auto& [label, value] : labels) {
    tags.append(tags.empty() ? "" : ",").append(label).append(":").append(tag_value(value));
  }
  return tags;
}

void Lines::line(std::string_view name, double value, char type, std::string_view tags) {
  std::string text(name);
  text.append(":").append(number(value)).append("|").append(1, type);
  if (form_ == Form::dogstatsd && !tags.empty()) text.append("|#").append(tags);
  packer_.add(text);
}

void Lines::tell_gauges() {
  for (const auto& [name, value] : std::exchange(gauges_, {})) line(name, value, 'g', {});
}

}  // namespace prowingen::statsd
