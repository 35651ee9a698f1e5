#include "http/content_coding.h"

#include <algorithm>

#include "http/lists.h"
#include "http/octets.h"

namespace prowingen {
namespace {

// Thousandths, as a weight has three decimals at most (section 12.4.2); none for what is malformed.
std::optional<int> parse_weight(std::string_view text) {
  if (text != "0" && text != "1" && !text.starts_with("0.") && !text.starts_with("1.")) {
    return std::nullopt;
  }
  const auto decimals = text.size() > 2 ? text.substr(2) : std::string_view();
  if (decimals.size() > 3 || !all_are(decimals, Octet::digit)) return std::nullopt;
  int weight = text[0] - '0';
  for (std::size_t i = 0; i < 3; ++i) {
    weight = weight * 10 + (i < decimals.size() ? decimals[i] - '0' : 0);
  }
  return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

// What comes behind a coding's name. Without a weight it is 1; one that cannot be read is 0, since
// sending what somebody cannot read is the worse mistake.
int weight_in(std::string_view parameters) {
  while (!parameters.empty()) {
    parameters.remove_prefix(1);  // the semicolon
    const auto end = std::min(parameters.find(';'), parameters.size());
    const auto parameter = trim(parameters.substr(0, end));
    parameters.remove_prefix(end);
    if (parameter.starts_with("q=") || parameter.starts_with("Q=")) {
      return parse_weight(parameter.substr(2)).value_or(0);
    }
  }
  return 1000;
}

bool names(std::string_view name, std::string_view coding) {
  if (equals_ignoring_case(name, coding)) return true;
  return coding == "gzip" && equals_ignoring_case(name, "x-gzip");
}

// What the request says of a coding; nothing if nothing, by name or by the asterisk.
std::optional<int> weight_of(const RequestHead& request, std::string_view coding) {
  std::optional<int> by_name;
  std::optional<int> by_asterisk;
  for (const FieldLine& field : request.fields()) {
    if (!equals_ignoring_case(request.view(field.name), "accept-encoding")) continue;
    for_each_member(request.view(field.value), [&](std::string_view item) {
      const auto semicolon = std::min(item.find(';'), item.size());
      const auto name = trim(item.substr(0, semicolon));
      if (names(name, coding)) by_name = weight_in(item.substr(semicolon));
      if (name == "*") by_asterisk = weight_in(item.substr(semicolon));
      return false;
    });
  }
  return by_name ? by_name : by_asterisk;
}

}  // namespace

std::optional<std::size_t> choose_coding(const RequestHead& request,
                                         std::span<const std::string_view> available) {
  std::optional<std::size_t> best;
  int best_weight = 0;
  for (std::size_t i = 0; i < available.size(); ++i) {
    const int weight = weight_of(request, available[i]).value_or(0);
    if (weight > best_weight) {
      best = i;
      best_weight = weight;
    }
  }
  if (!best) return std::nullopt;
  // By the asterisk alone the representation as it is is as welcome as any coding.
  return weight_of(request, "identity").value_or(0) > best_weight ? std::nullopt : best;
}

}  // namespace prowingen
