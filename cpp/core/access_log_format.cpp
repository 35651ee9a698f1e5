#include "core/access_log_format.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <utility>

namespace prowingen {

// clang-format off
enum class AccessField : std::uint8_t {
  literal,
  remote_address, remote_port, user, scheme,
  clf_time, iso_time, strftime_text, epoch_s, epoch_ms, epoch_us, ms_of_second, us_of_second,
  request_line, method, target, path, query, query_with_mark, protocol,
  request_field, response_field,
  status, body_bytes, body_bytes_or_dash, bytes_sent, bytes_received,
  total_s, total_ms, total_us, total_decimal, queue_us, queue_decimal, app_us, app_decimal,
  complete, connection_requests, keep_alive_requests, pid, pid_in_brackets,
};
// clang-format on

namespace {

using enum AccessField;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

// --- The fields' spellings -----------------------------------------------------------------------

struct Spelling {
  std::string_view qualifier;  // between the braces; `name_wanted` stands for any field name
  char letter;
  AccessField field;
  std::string_view argument = {};
};

constexpr std::string_view name_wanted = "Name";

// What Apache's and gunicorn's tables share, then what only one of them has, then our own.
constexpr Spelling spellings[] = {
    {"", 'h', remote_address},
    {"", 'l', literal, "-"},
    {"", 'u', user},
    {"", 't', clf_time},
    {"", 'r', request_line},
    {"", 's', status},
    {"", 'b', body_bytes_or_dash},
    {"", 'B', body_bytes},
    {"", 'm', method},
    {"", 'U', path},
    {"", 'q', query_with_mark},
    {"", 'H', protocol},
    {"", 'D', total_us},
    {"", 'T', total_s},
    {name_wanted, 'i', request_field},
    {name_wanted, 'o', response_field},
    {"", 'I', bytes_received},
    {"", 'O', bytes_sent},
    {"", 'k', keep_alive_requests},
    {"", 'P', pid},
    {"pid", 'P', pid},
    {"remote", 'p', remote_port},
    {"s", 'T', total_s},
    {"ms", 'T', total_ms},
    {"us", 'T', total_us},
    {"sec", 't', epoch_s},
    {"msec", 't', epoch_ms},
    {"usec", 't', epoch_us},
    {"msec_frac", 't', ms_of_second},
    {"usec_frac", 't', us_of_second},
    {"", 'L', total_decimal},
    {"", 'M', total_ms},
    {"", 'f', request_field, "Referer"},
    {"", 'a', request_field, "User-Agent"},
    {"", 'p', pid},
    {"queue", 'x', queue_us},
    {"queue", 'L', queue_decimal},
    {"app", 'x', app_us},
    {"app", 'L', app_decimal},
    {"time", 'x', iso_time},
    {"target", 'x', target},
    {"complete", 'x', complete},
    {"scheme", 'x', scheme},
    {"requests", 'x', connection_requests},
};

// Where `%(x)s` differs from `%x`.
constexpr Spelling gunicorn_spellings[] = {
    {"", 'q', query},
    {"", 'p', pid_in_brackets},
};

constexpr std::string_view common_format = R"(%h %l %u %t "%r" %>s %b)";
constexpr std::string_view combined_format = R"(%h %l %u %t "%r" %>s %b "%f" "%a")";

// A value brings its own quotes in JSON.
constexpr std::string_view json_format =
    R"({"time":%{time}x,"remote_address":%h,"remote_port":%{remote}p,"user":%u,"scheme":%{scheme}x,)"
    R"("host":%{Host}i,"method":%m,"target":%{target}x,"path":%U,"query":%(q)s,"protocol":%H,)"
    R"("status":%s,"body_bytes_sent":%B,"bytes_sent":%O,"bytes_received":%I,"total_time":%L,)"
    R"("queue_time":%{queue}L,"app_time":%{app}L,"complete":%{complete}x,)"
    R"("connection_requests":%{requests}x,"referer":%f,"user_agent":%a,"pid":%P})";

// --- Escaping ------------------------------------------------------------------------------------

// No value may put these into a line as they are: `"`, `\`, and all bytes outside the range from
// `lowest` to 0x7E. They could leave a quoted field, end the line, or steer a reader's terminal.
constexpr unsigned char above_controls = 0x20;
// For `%u`, which stands unquoted: a user called `x [10/Oct/2000…` would forge the time column.
constexpr unsigned char above_space = 0x21;

/// The next unsafe byte of `text` from `from` on, or its end. Eight bytes at a time, as this scan
/// was half of a line's cost byte by byte.
std::size_t find_unsafe(std::string_view text, std::size_t from, unsigned char lowest) {
  constexpr std::uint64_t ones = 0x0101010101010101;
  constexpr std::uint64_t tops = ones * 0x80;
  const auto has = [](std::uint64_t word, unsigned char byte) {
    return ((word ^ ones * byte) - ones) & ~(word ^ ones * byte);
  };
  for (; from + 8 <= text.size(); from += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + from, 8);
    const std::uint64_t below = (word - ones * lowest) & ~word;
    if (((below | word | has(word, '"') | has(word, '\\') | has(word, 0x7F)) & tops) != 0) break;
  }
  for (; from < text.size(); ++from) {
    const auto c = static_cast<unsigned char>(text[from]);
    if (c < lowest || c >= 0x7F || c == '"' || c == '\\') break;
  }
  return from;
}

constexpr std::string_view hex_digits = "0123456789abcdef";

void append_hex(std::uint32_t value, int digits, std::string& out) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += hex_digits[value >> shift & 0xF];
}

/// `\xHH` for all of them, quotes and backslashes too: Apache's `\"` would end a quoted field for
/// the many log parsers that look for `"[^"]*"`.
void append_escaped(std::string_view text, unsigned char lowest, std::string& out) {
  for (std::size_t at = 0;;) {
    const std::size_t next = find_unsafe(text, at, lowest);
    out.append(text, at, next - at);
    if (next == text.size()) return;
    out += "\\x";
    append_hex(static_cast<unsigned char>(text[next]), 2, out);
    at = next + 1;
  }
}

/// A code point and the bytes it takes; U+FFFD and one byte where they are not UTF-8
/// (RFC 3629 section 4: no overlong forms, no surrogates, nothing above U+10FFFF).
std::pair<char32_t, std::size_t> decode_utf8(std::string_view text) {
  constexpr std::pair<char32_t, std::size_t> invalid{0xFFFD, 1};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return invalid;
  char32_t code = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return invalid;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < smallest[size] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return invalid;
  return {code, size};
}

/// RFC 8259 section 7, everything above U+007E as `\uXXXX`: pure ASCII is valid UTF-8 whatever
/// came in, and no U+2028 or U+0085 counts as a line's end for a lenient reader.
void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (std::size_t at = 0;;) {
    const std::size_t next = find_unsafe(text, at, above_controls);
    out.append(text, at, next - at);
    if (next == text.size()) break;
    const auto [code, size] = decode_utf8(text.substr(next));
    if (code == '"' || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code >= 0x10000) {
      out += "\\u";
      append_hex(0xD800 + ((code - 0x10000) >> 10), 4, out);
      out += "\\u";
      append_hex(0xDC00 + ((code - 0x10000) & 0x3FF), 4, out);
    } else {
      out += "\\u";
      append_hex(code, 4, out);
    }
    at = next + size;
  }
  out += '"';
}

// --- Values --------------------------------------------------------------------------------------

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
      case keep_alive_requests: line.number(std::max(record.connection_requests, 1u) - 1); break;
      case pid: line.number(static_cast<std::uint64_t>(::getpid())); break;
      case pid_in_brackets: out.append("<").append(std::to_string(::getpid())).append(">"); break;
    }
  }
}

// --- Compiling -----------------------------------------------------------------------------------

/// Reads a user's format from left to right; each method consumes what its name says.
class FormatParser {
 public:
  FormatParser(std::string_view spec, std::vector<AccessLogFormat::Step>& steps)
      : spec_(spec), steps_(steps) {}

  void parse() {
    const auto control = std::ranges::find_if(
        spec_, [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; });
    if (control != spec_.end()) {
      fail("a control character", static_cast<std::size_t>(control - spec_.begin()),
           "take it out: one record is one line");
    }
    bool any_field = false;
    while (at_ < spec_.size()) {
      const std::size_t percent = std::min(spec_.find('%', at_), spec_.size());
      literal_text(spec_.substr(at_, percent - at_));
      at_ = percent;
      if (at_ == spec_.size()) break;
      any_field = percent_sequence() || any_field;
    }
    if (any_field) return;
    throw std::invalid_argument("access log format: no field in \"" + std::string(spec_) +
                                "\": use common, combined, json, or fields such as %h");
  }

 private:
  [[noreturn]] static void fail(const std::string& what, std::size_t at,
                                const std::string& advice) {
    throw std::invalid_argument("access log format: " + what + " at column " +
                                std::to_string(at + 1) + ": " + advice);
  }

  void literal_text(std::string_view text) {
    if (text.empty()) return;
    if (steps_.empty() || steps_.back().field != literal) steps_.push_back({literal, {}});
    steps_.back().argument += text;
  }

  /// False for `%%`, which is no field.
  bool percent_sequence() {
    start_ = at_++;
    if (spec_.substr(at_).starts_with('%')) {
      literal_text("%");
      ++at_;
      return false;
    }
    gunicorn_ = spec_.substr(at_).starts_with('(');
    if (gunicorn_) ++at_;
    // Which request a field is of, after an internal redirect: there are none here.
    if (!gunicorn_ && at_ < spec_.size() && (spec_[at_] == '>' || spec_[at_] == '<')) ++at_;
    const std::string_view qualifier = braces();
    const std::string unfinished = "unfinished field " + text_so_far();
    if (at_ == spec_.size()) fail(unfinished, start_, "finish it, or write %% for a percent sign");
    const char letter = spec_[at_++];
    if (gunicorn_) {
      const std::string_view rest = spec_.substr(at_);
      if (!rest.starts_with(")s") && !rest.starts_with(")d")) {
        fail(unfinished + letter, start_, "write it like %(h)s, without a width");
      }
      at_ += 2;
    }
    field(qualifier, letter);
    return true;
  }

  std::string_view braces() {
    if (!spec_.substr(at_).starts_with('{')) return {};
    const std::size_t end = spec_.find('}', at_);
    if (end == std::string_view::npos) {
      fail("\"{\" without \"}\"", at_, "close it, as in %{Host}i");
    }
    const std::string_view inside = spec_.substr(at_ + 1, end - at_ - 1);
    if (inside.empty()) fail("empty \"{}\"", at_, "name what is meant, as in %{Host}i");
    at_ = end + 1;
    return inside;
  }

  void field(std::string_view qualifier, char letter) {
    const auto matches = [&](const Spelling& s) {
      return s.letter == letter &&
             (s.qualifier == qualifier || (s.qualifier == name_wanted && !qualifier.empty()));
    };
    if (gunicorn_) {
      const auto found = std::ranges::find_if(gunicorn_spellings, matches);
      if (found != std::end(gunicorn_spellings)) return add(found->field, found->argument);
    }
    const auto found = std::ranges::find_if(spellings, matches);
    if (found == std::end(spellings)) return strftime_or_unknown(qualifier, letter);
    add(found->field, found->qualifier == name_wanted ? qualifier : found->argument);
  }

  void strftime_or_unknown(std::string_view qualifier, char letter) {
    const std::string written = "\"" + text_so_far() + "\"";
    if (letter == 't' && qualifier.starts_with("end:")) {
      fail(written, start_, "the time is when the request began; for its end, log %D too");
    }
    if (letter == 't' && qualifier.starts_with("begin:")) return field(qualifier.substr(6), letter);
    if (letter == 't') return add(strftime_text, qualifier);
    if (letter == 'e') {
      fail(written, start_, "the environ is Python's, the log is not: use %{Name}i for a header");
    }
    fail("unknown field " + written, start_,
         "use " + nearest(letter) + "; docs/access_log.md describes all fields");
  }

  void add(AccessField field, std::string_view argument) {
    if (field == literal) return literal_text(argument);
    steps_.push_back({field, std::string(argument)});
  }

  std::string text_so_far() const { return std::string(spec_.substr(start_, at_ - start_)); }

  /// The fields of that letter in either case, or all where there are none.
  std::string nearest(char letter) const {
    const auto same = [&](const Spelling& s) {
      return equals_ignoring_case({&s.letter, 1}, {&letter, 1});
    };
    const bool any = std::ranges::any_of(spellings, same);
    std::string list;
    for (const Spelling& s : spellings) {
      if (any && !same(s)) continue;
      list += list.empty() ? "" : ", ";
      list += gunicorn_ ? "%(" : "%";
      if (!s.qualifier.empty()) list.append("{").append(s.qualifier).append("}");
      list += s.letter;
      if (gunicorn_) list += ")s";
    }
    return list;
  }

  const std::string_view spec_;
  std::vector<AccessLogFormat::Step>& steps_;
  std::size_t at_ = 0;
  std::size_t start_ = 0;  // of the field at hand
  bool gunicorn_ = false;
};

AccessLogFormat AccessLogFormat::compile(std::string_view spec) {
  AccessLogFormat format;
  format.json_ = spec == "json";
  if (spec == "common") spec = common_format;
  if (spec == "combined") spec = combined_format;
  if (spec == "json") spec = json_format;
  FormatParser(spec, format.steps_).parse();
  return format;
}

}  // namespace prowingen
