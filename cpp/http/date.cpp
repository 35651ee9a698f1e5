#include "http/date.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "http/octets.h"

namespace prowingen {
namespace {

// strftime and strptime would use the locale's.
constexpr std::array<std::string_view, 7> days{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                               "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::size_t abbreviated = 3;

// Reads a text from its front; once something is not there, nothing more is.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool done() const { return good_ && text_.empty(); }

  void literal(std::string_view expected) {
    if (!text_.starts_with(expected)) good_ = false;
    if (good_) text_.remove_prefix(expected.size());
  }

  // Of just so many digits.
  int number(std::size_t digits) {
    if (text_.size() < digits || !all_are(text_.substr(0, digits), Octet::digit)) good_ = false;
    if (!good_) return 0;
    int value = 0;
    for (const char digit : text_.substr(0, digits)) value = value * 10 + (digit - '0');
    text_.remove_prefix(digits);
    return value;
  }

  // With a space for a first digit that is none (asctime).
  int padded_day() {
    if (!text_.starts_with(' ')) return number(2);
    literal(" ");
    return number(1);
  }

  int month() {
    const auto found = std::ranges::find(months, text_.substr(0, abbreviated));
    if (found == months.end()) good_ = false;
    if (good_) text_.remove_prefix(abbreviated);
    return static_cast<int>(found - months.begin());
  }

  void clock(std::tm& time) {
    time.tm_hour = number(2);
    literal(":");
    time.tm_min = number(2);
    literal(":");
    time.tm_sec = number(2);
  }

  // The day's name, whole or abbreviated, which is redundant but may not be anything.
  void weekday(bool whole) {
    for (const std::string_view day : days) {
      const auto name = whole ? day : day.substr(0, abbreviated);
      if (text_.starts_with(name)) return literal(name);
    }
    good_ = false;
  }

 private:
  std::string_view text_;
  bool good_ = true;
};

std::optional<std::time_t> to_time(std::tm time) {
  const bool possible = time.tm_mday >= 1 && time.tm_mday <= 31 && time.tm_hour < 24 &&
                        time.tm_min < 60 && time.tm_sec <= 60;
  if (!possible) return std::nullopt;
  return ::timegm(&time);
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<std::time_t> imf_fixdate(std::string_view text) {
  Scanner scanner(text);
  std::tm time{};
  scanner.weekday(false);
  scanner.literal(", ");
  time.tm_mday = scanner.number(2);
  scanner.literal(" ");
  time.tm_mon = scanner.month();
  scanner.literal(" ");
  time.tm_year = scanner.number(4) - 1900;
  scanner.literal(" ");
  scanner.clock(time);
  scanner.literal(" GMT");
  return scanner.done() ? to_time(time) : std::nullopt;
}

// "Sunday, 06-Nov-94 08:49:37 GMT": a year that seems more than 50 years ahead is of the last
// century.
std::optional<std::time_t> rfc850_date(std::string_view text) {
  Scanner scanner(text);
  std::tm time{};
  scanner.weekday(true);
  scanner.literal(", ");
  time.tm_mday = scanner.number(2);
  scanner.literal("-");
  time.tm_mon = scanner.month();
  scanner.literal("-");
  time.tm_year = scanner.number(2);
  scanner.literal(" ");
  scanner.clock(time);
  scanner.literal(" GMT");
  if (!scanner.done()) return std::nullopt;
  const std::time_t now = std::time(nullptr);
  std::tm today{};
  ::gmtime_r(&now, &today);
  time.tm_year += today.tm_year / 100 * 100;
  if (time.tm_year > today.tm_year + 50) time.tm_year -= 100;
  return to_time(time);
}

// "Sun Nov  6 08:49:37 1994"
std::optional<std::time_t> asctime_date(std::string_view text) {
  Scanner scanner(text);
  std::tm time{};
  scanner.weekday(false);
  scanner.literal(" ");
  time.tm_mon = scanner.month();
  scanner.literal(" ");
  time.tm_mday = scanner.padded_day();
  scanner.literal(" ");
  scanner.clock(time);
  scanner.literal(" ");
  time.tm_year = scanner.number(4) - 1900;
  return scanner.done() ? to_time(time) : std::nullopt;
}

}  // namespace

std::string http_date(std::time_t time) {
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  std::array<char, 64> text;
  const int size =
      std::snprintf(text.data(), text.size(), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                    days[static_cast<std::size_t>(utc.tm_wday)].data(), utc.tm_mday,
                    months[static_cast<std::size_t>(utc.tm_mon)].data(), utc.tm_year + 1900,
                    utc.tm_hour, utc.tm_min, utc.tm_sec);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::optional<std::time_t> parse_http_date(std::string_view text) {
  if (const auto time = imf_fixdate(text)) return time;
  if (const auto time = rfc850_date(text)) return time;
  return asctime_date(text);
}

}  // namespace prowingen
