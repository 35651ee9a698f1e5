#include "limits/rate.h"

#include <charconv>
#include <stdexcept>
#include <system_error>

namespace prowingen::limits {
namespace {

constexpr Nanoseconds second = 1'000'000'000;
// A full bucket's time stays far from the end of 64 bits: 10^6 at one an hour are 114 years.
constexpr std::uint64_t most = 1'000'000;

[[noreturn]] void refuse() {
  throw std::invalid_argument(
      "must be off, or requests for each second, minute or hour, 1 to 1000000, and perhaps a "
      "burst, such as 100/s, 5/m or \"100/s burst 200\"");
}

std::uint64_t take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number == 0 || number > most) refuse();
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

Nanoseconds unit_of(char letter) {
  switch (letter) {
    case 's': return second;
    case 'm': return 60 * second;
    case 'h': return 3600 * second;
    default: refuse();
  }
}

}  // namespace

Rate parse_rate(std::string_view text) {
  if (text == "off") return {};
  Rate rate;
  rate.burst = take_number(text);
  if (text.size() < 2 || text.front() != '/') refuse();
  rate.interval = unit_of(text[1]) / rate.burst;
  text.remove_prefix(2);
  constexpr std::string_view burst = " burst ";
  if (text.empty()) return rate;
  if (!text.starts_with(burst)) refuse();
  text.remove_prefix(burst.size());
  rate.burst = take_number(text);
  if (!text.empty()) refuse();
  return rate;
}

}  // namespace prowingen::limits
