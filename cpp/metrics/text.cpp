#include "metrics/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>

#include "http/lists.h"
#include "http/octets.h"

namespace prowingen::metrics {
namespace {

constexpr std::string_view total = "_total";
constexpr std::string_view info = "_info";

std::string_view type_of(Kind kind, Form form) {
  switch (kind) {
    case Kind::counter: return "counter";
    case Kind::gauge: return "gauge";
    case Kind::histogram: return "histogram";
    case Kind::info: break;
  }
  return form == Form::open_metrics ? "info" : "gauge";
}

// OpenMetrics names a family without what the names of its samples end with.
std::string_view family_name(std::string_view name, Form form) {
  if (form != Form::open_metrics) return name;
  for (const auto suffix : {total, info}) {
    if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  }
  return name;
}

// In both, a label's value has these escaped; a help text has no quotes here.
std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text.push_back('\\');
    c == '\n' ? text.append("\\n") : text.append(1, c);
  }
  return text;
}

double seconds(std::chrono::nanoseconds value) {
  return std::chrono::duration<double>(value).count();
}

double quality(std::string_view parameter) {
  std::array<char, 8> digits{};  // RFC 9110 section 12.4.2: 0.000 to 1.000
  parameter.copy(digits.data(), digits.size() - 1);
  return std::strtod(digits.data(), nullptr);
}

struct Preference {
  std::string_view type;
  bool is_version_known = true;
  double q = 1;
};

Preference parse_preference(std::string_view member) {
  Preference preference;
  preference.type = trim(member.substr(0, member.find(';')));
  while (member.find(';') != std::string_view::npos) {
    member.remove_prefix(member.find(';') + 1);
    const auto parameter = trim(member.substr(0, member.find(';')));
    const auto name = trim(parameter.substr(0, parameter.find('=')));
    if (name.size() == parameter.size()) continue;
    const auto value = trim(parameter.substr(parameter.find('=') + 1));
    if (equals_ignoring_case(name, "q")) preference.q = quality(value);
    if (equals_ignoring_case(name, "version")) {
      preference.is_version_known = value == "1.0.0" || value == "0.0.1" || value == "\"1.0.0\"";
    }
  }
  return preference;
}

}  // namespace

Form choose_form(std::string_view accept) {
  double open_metrics = 0;
  double plain = 0;
  for_each_member(accept, [&](std::string_view member) {
    const Preference preference = parse_preference(member);
    if (equals_ignoring_case(preference.type, "application/openmetrics-text")) {
      if (preference.is_version_known) open_metrics = std::max(open_metrics, preference.q);
    } else if (equals_ignoring_case(preference.type, "text/plain") ||
               equals_ignoring_case(preference.type, "text/*")) {
      plain = std::max(plain, preference.q);
    }
    return false;
  });
  return open_metrics > 0 && open_metrics >= plain ? Form::open_metrics : Form::prometheus;
}

std::string_view media_type(Form form) {
  return form == Form::open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                    : "text/plain; version=0.0.4; charset=utf-8";
}

void Text::begin(const Family& family) {
  family_ = family.name;
  const auto named = family_name(family.name, form_);
  const bool has_unit = form_ == Form::open_metrics && !family.unit.empty();
  out_.append("# HELP ").append(named).append(" ").append(family.help).append("\n");
  out_.append("# TYPE ").append(named).append(" ").append(type_of(family.kind, form_)).append("\n");
  if (has_unit) out_.append("# UNIT ").append(named).append(" ").append(family.unit).append("\n");
}

void Text::name(std::string_view suffix, Labels labels) {
  out_.append(family_).append(suffix);
  char before = '{';
  for (const auto& [label, value] : labels) {
    out_.append(1, before).append(label).append("=\"").append(escaped(value)).append("\"");
    before = ',';
  }
  if (labels.size() != 0) out_.push_back('}');
  out_.push_back(' ');
}

void Text::number(std::uint64_t value) { out_.append(std::to_string(value)); }

void Text::number(double value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out_.append(digits.data(), end.ptr);
}

void Text::sample(Labels labels, std::uint64_t value) {
  name("", labels);
  number(value);
  out_.push_back('\n');
}

void Text::sample(Labels labels, double value) {
  name("", labels);
  number(value);
  out_.push_back('\n');
}

void Text::histogram(const cells::Histogram& histogram, const Tally::Sum& sum) {
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i <= histogram.bounds.size(); ++i) {
    so_far += sum[histogram.first + i];
    std::string bound = "+Inf";
    if (i < histogram.bounds.size()) {
      std::array<char, 32> digits{};
      const double value = seconds(histogram.bounds[i]);
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                     std::chars_format::fixed);
      bound.assign(digits.data(), end.ptr);
      // So that it is the same label in both forms: OpenMetrics has only this one.
      if (bound.find('.') == std::string::npos) bound.append(".0");
    }
    name("_bucket", {{"le", bound}});
    number(so_far);
    out_.push_back('\n');
  }
  name("_sum", {});
  number(static_cast<double>(sum[histogram.sum()]) / 1e9);
  out_.push_back('\n');
  name("_count", {});
  number(so_far);
  out_.push_back('\n');
}

std::string Text::end() {
  if (form_ == Form::open_metrics) out_.append("# EOF\n");
  return std::move(out_);
}

}  // namespace prowingen::metrics
