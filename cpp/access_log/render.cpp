// The values of an access-log line.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <span>

#include "access_log/escape.h"
#include "access_log/field.h"
#include "access_log/format.h"

namespace prowingen {
namespace {

using enum AccessField;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

void append_number(std::uint64_t value, std::string& out) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), value).ptr;
  out.append(digits.begin(), end);
}

void append_padded(std::uint64_t value, std::size_t width, std::string& out) {
  const std::size_t start = out.size();
  out.append(width, '0');
  for (std::size_t i = width; i-- > 0; value /= 10)
    out[start + i] = static_cast<char>('0' + value % 10);
}

/// A clock that was set back must not print as an enormous number.
template <typename Unit>
std::uint64_t count(nanoseconds time) {
  return static_cast<std::uint64_t>(std::max(duration_cast<Unit>(time), Unit::zero()).count());
}

void append_decimal_seconds(nanoseconds time, std::string& out) {
  const std::uint64_t us = count<microseconds>(time);
  append_number(us / 1'000'000, out);
  out += '.';
  append_padded(us % 1'000'000, 6, out);
}

/// The texts for one second. Breaking a time down costs more than a whole line otherwise does, and
/// thousands of lines share a second.
struct SecondText {
  std::optional<std::time_t> second;
  std::tm local{};
  std::string clf;         // [10/Oct/2000:13:55:36 -0700]
  std::string iso_time;    // 2000-10-10T13:55:36
  std::string iso_offset;  // -07:00

  void set(std::time_t wanted) {
    second = wanted;
    ::localtime_r(&wanted, &local);
    // Not by strftime(): its month names follow the locale, which an application may set.
    constexpr std::array months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const int year = local.tm_year + 1900;
    const long minutes = std::abs(local.tm_gmtoff) / 60;
    const char sign = local.tm_gmtoff < 0 ? '-' : '+';
    std::array<char, 128> text{};
    const auto print = [&](std::string& out, const char* format, auto... values) {
      std::snprintf(text.data(), text.size(), format, values...);
      out = text.data();
    };
    print(clf, "[%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld]", local.tm_mday,
          months[static_cast<std::size_t>(local.tm_mon)], year, local.tm_hour, local.tm_min,
          local.tm_sec, sign, minutes / 60, minutes % 60);
    print(iso_time, "%04d-%02d-%02dT%02d:%02d:%02d", year, local.tm_mon + 1, local.tm_mday,
          local.tm_hour, local.tm_min, local.tm_sec);
    print(iso_offset, "%c%02ld:%02ld", sign, minutes / 60, minutes % 60);
  }
};

/// One cache a thread, so that no I/O thread waits for another.
const SecondText& second_text(system_clock::time_point time) {
  thread_local SecondText text;
  const std::time_t second = system_clock::to_time_t(std::chrono::floor<seconds>(time));
  if (text.second != second) text.set(second);
  return text;
}

/// The user of `Basic` credentials (RFC 7617), decoded into `scratch` and cut to its size; nothing
/// where there are none.
std::optional<std::string_view> basic_user(std::string_view authorization,
                                           std::span<char> scratch) {
  if (!equals_ignoring_case(authorization.substr(0, 6), "basic ")) return std::nullopt;
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::uint32_t bits = 0;
  int held = 0;
  std::size_t size = 0;
  for (const char c : authorization.substr(6)) {
    if (c == ' ' && size == 0 && held == 0) continue;
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xFFFF;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    const char decoded = static_cast<char>(bits >> held & 0xFF);
    if (decoded == ':' || size == scratch.size()) return std::string_view(scratch.data(), size);
    scratch[size++] = decoded;
  }
  return std::nullopt;
}

/// The path of a target of any form, also of one that the policy refused.
std::string_view path_of(std::string_view request_target) {
  std::string_view path = request_target.substr(0, request_target.find('?'));
  if (path.starts_with('/')) return path;
  const std::size_t scheme_end = path.find("://");
  if (scheme_end == std::string_view::npos) return path;
  const std::size_t start = path.find('/', scheme_end + 3);
  return start == std::string_view::npos ? std::string_view("/") : path.substr(start);
}

std::string_view field_of(const ResponseHead* head, std::string_view name) {
  if (head == nullptr) return {};
  const auto found = std::ranges::find_if(head->fields(), [&](const FieldLine& line) {
    return equals_ignoring_case(head->view(line.name), name);
  });
  return found == head->fields().end() ? std::string_view() : head->view(found->value);
}

/// Puts values into a line: escaped text or JSON, `-` or null for one that is missing.
class LineWriter {
 public:
  LineWriter(bool json, std::string& out) : json_(json), out_(out) {}

  void missing() { out_ += json_ ? "null" : "-"; }
  void text(std::string_view value, unsigned char lowest = above_controls) {
    json_ ? append_json_string(value, out_) : append_escaped(value, lowest, out_);
  }
  void text_or_missing(std::string_view value) { value.empty() ? missing() : text(value); }
  void number(std::uint64_t value) { append_number(value, out_); }
  void number_or_missing(std::uint64_t value) { value == 0 ? missing() : number(value); }

  /// -1: missing.
  void count_or_missing(std::int64_t value) {
    value < 0 ? missing() : number(static_cast<std::uint64_t>(value));
  }

  void complete(bool yes) { out_ += json_ ? (yes ? "true" : "false") : (yes ? "complete" : "cut"); }

  void user(const RequestHead& request) {
    const std::string_view authorization = request.first("Authorization");
    if (authorization.empty()) return missing();
    std::array<char, 256> scratch{};
    const auto name = basic_user(authorization, scratch);
    if (!name) return missing();
    if (name->empty() && !json_) {
      out_ += R"("")";  // as Apache: there, but without a name
      return;
    }
    text(*name, above_space);
  }

  void protocol(const RequestHead& request) {
    if (request.method().empty()) return missing();
    if (json_) out_ += '"';
    out_ += "HTTP/";
    number(request.version.major);
    out_ += '.';
    number(request.version.minor);
    if (json_) out_ += '"';
  }

  void request_line(const RequestHead& request) {
    if (request.method().empty()) return missing();
    text(request.method());
    out_ += ' ';
    text(request.target());
    out_ += ' ';
    protocol(request);
  }

 private:
  const bool json_;
  std::string& out_;
};

}  // namespace

void AccessLogFormat::render(const AccessRecord& record, std::string& out) const {
  static const RequestHead unparsed;
  const RequestHead& request = record.request == nullptr ? unparsed : *record.request;
  const std::string_view sent_target = request.target();
  const nanoseconds since_epoch = record.received.time_since_epoch();
  LineWriter line(json_, out);

  const auto query_text = [&](std::size_t skip) {
    const std::size_t mark = sent_target.find('?');
    if (mark != std::string_view::npos) return line.text(sent_target.substr(mark + skip));
    if (json_) line.missing();  // in text formats Apache and gunicorn both leave it empty
  };
  const auto strftime_value = [&](const char* format) {
    std::array<char, 256> text{};
    const std::tm* local = &second_text(record.received).local;
    line.text_or_missing({text.data(), std::strftime(text.data(), text.size(), format, local)});
  };
  const auto iso_value = [&] {
    const SecondText& second = second_text(record.received);
    if (json_) out += '"';
    out.append(second.iso_time) += '.';
    append_padded(count<microseconds>(since_epoch) % 1'000'000, 6, out);
    out += second.iso_offset;
    if (json_) out += '"';
  };

  for (const Step& step : steps_) {
    switch (step.field) {
      case literal: out += step.argument; break;
      case remote_address: line.text_or_missing(record.remote_address); break;
      case remote_port: line.text_or_missing(record.remote_port); break;
      case user: line.user(request); break;
      case scheme: line.text_or_missing(record.scheme); break;
      case clf_time: out += second_text(record.received).clf; break;
      case iso_time: iso_value(); break;
      case strftime_text: strftime_value(step.argument.c_str()); break;
      case epoch_s: line.number(count<seconds>(since_epoch)); break;
      case epoch_ms: line.number(count<milliseconds>(since_epoch)); break;
      case epoch_us: line.number(count<microseconds>(since_epoch)); break;
      case ms_of_second: append_padded(count<milliseconds>(since_epoch) % 1'000, 3, out); break;
      case us_of_second: append_padded(count<microseconds>(since_epoch) % 1'000'000, 6, out); break;
      case request_line: line.request_line(request); break;
      case method: line.text_or_missing(request.method()); break;
      case target: line.text_or_missing(sent_target); break;
      case path: line.text_or_missing(path_of(sent_target)); break;
      case query: query_text(1); break;
      case query_with_mark: query_text(0); break;
      case protocol: line.protocol(request); break;
      case request_field: line.text_or_missing(request.first(step.argument)); break;
      case response_field: line.text_or_missing(field_of(record.response, step.argument)); break;
      case status: line.number_or_missing(static_cast<unsigned>(record.status)); break;
      case body_bytes: line.number(record.body_bytes_sent); break;
      case body_bytes_or_dash: line.number_or_missing(record.body_bytes_sent); break;
      case bytes_sent: line.number(record.bytes_sent); break;
      case bytes_received: line.number(record.bytes_received); break;
      case total_s: line.number(count<seconds>(record.total_time)); break;
      case total_ms: line.number(count<milliseconds>(record.total_time)); break;
      case total_us: line.number(count<microseconds>(record.total_time)); break;
      case total_decimal: append_decimal_seconds(record.total_time, out); break;
      case queue_us: line.number(count<microseconds>(record.queue_time)); break;
      case queue_decimal: append_decimal_seconds(record.queue_time, out); break;
      case app_us: line.number(count<microseconds>(record.app_time)); break;
      case app_decimal: append_decimal_seconds(record.app_time, out); break;
      case complete: line.complete(record.complete); break;
      case connection_requests: line.number(record.connection_requests); break;
      case tls_protocol: line.text_or_missing(record.tls_protocol); break;
      case tls_cipher: line.text_or_missing(record.tls_cipher); break;
      case tls_server_name: line.text_or_missing(record.tls_server_name); break;
      case stream: line.count_or_missing(record.stream); break;
      case messages_received: line.count_or_missing(record.messages_received); break;
      case messages_sent: line.count_or_missing(record.messages_sent); break;
      case keep_alive_requests: line.number(std::max(record.connection_requests, 1u) - 1); break;
      case pid: line.number(static_cast<std::uint64_t>(::getpid())); break;
      case pid_in_brackets: out.append("<").append(std::to_string(::getpid())).append(">"); break;
    }
  }
}

}  // namespace prowingen
