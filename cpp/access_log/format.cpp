// Compiles a format of the access log.
#include "access_log/format.h"

#include <algorithm>
#include <ranges>
#include <stdexcept>

#include "access_log/field.h"

namespace prowingen {
namespace {

using enum AccessField;

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
    // As mod_ssl and mod_http2 name them.
    {"SSL_PROTOCOL", 'x', tls_protocol},
    {"SSL_CIPHER", 'x', tls_cipher},
    {"SSL_TLS_SNI", 'x', tls_server_name},
    {"H2_STREAM_ID", 'x', stream},
    {"messages_received", 'x', messages_received},
    {"messages_sent", 'x', messages_sent},
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
    R"("connection_requests":%{requests}x,"referer":%f,"user_agent":%a,"pid":%P,)"
    R"("stream_id":%{H2_STREAM_ID}x,"tls_protocol":%{SSL_PROTOCOL}x,"tls_cipher":%{SSL_CIPHER}x,)"
    R"("tls_server_name":%{SSL_TLS_SNI}x,"messages_received":%{messages_received}x,)"
    R"("messages_sent":%{messages_sent}x,"request_id":%{X-Request-ID}i})";

}  // namespace

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
