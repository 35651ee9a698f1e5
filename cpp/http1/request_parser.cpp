#include "http1/request_parser.h"

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <boost/version.hpp>

namespace prowingen::http1 {
namespace {

namespace http = boost::beast::http;

std::string_view std_view(boost::beast::string_view text) { return {text.data(), text.size()}; }

// Room for a chunk's size in hexadecimal, with leading zeros, and its CRLFs.
constexpr std::size_t max_chunk_size_digits = 16;

bool is_well_formed_version(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return text.size() == 8 && text.starts_with("HTTP/") && digit(text[5]) && text[6] == '.' &&
         digit(text[7]);
}

/// Where the minor version stands if the request line, as far as it is there, ends with one of
/// HTTP/1.2 to 1.9; else npos.
std::size_t higher_minor_version(std::string_view input) {
  const auto line = input.substr(0, input.find('\r'));
  constexpr std::string_view version = "HTTP/1.x";
  if (line.size() <= version.size()) return std::string_view::npos;
  const auto at = line.size() - version.size();
  const bool higher = line.substr(at).starts_with(version.substr(0, version.size() - 1)) &&
                      line.back() >= '2' && line.back() <= '9' && line[at - 1] == ' ';
  return higher ? line.size() - 1 : std::string_view::npos;
}

}  // namespace

std::string parser_version() {
  return "Boost " + std::to_string(BOOST_VERSION / 100000) + "." +
         std::to_string(BOOST_VERSION / 100 % 1000);
}

RequestParser::RequestParser(RequestHead& head, const RequestLimits& limits, BodySink& sink)
    : head_(head), limits_(limits), sink_(sink) {
  // The limits are the policy's; Beast's own would count differently. (No limit at all would
  // refuse every body: Boost 1.74 compares a length with an empty optional.)
  body_limit(UINT64_MAX);
  header_limit(static_cast<std::uint32_t>(most_of_head()));
  eager(false);
}

void RequestParser::refuse(Verdict verdict, error_code& ec) {
  verdict_ = verdict;
  ec = http::error::bad_value;  // any error stops the parser; the verdict says what it was
}

RequestParser::Progress RequestParser::parse_head(std::string_view input) {
  Progress progress = put_some(input);
  if (progress.verdict == &refusal(RequestFault::unsupported_version)) {
    if (const auto minor = higher_minor_version(input); minor != std::string_view::npos) {
      // Beast has taken nothing yet, and begins again.
      std::string as_1_1(input.substr(0, most_of_head()));
      as_1_1[minor] = '1';
      verdict_ = nullptr;
      progress = put_some(as_1_1);
    }
  }
  if (progress.outcome == Outcome::refused) return progress;
  if (!is_header_done()) {
    if (input.size() > limits_.max_request_line + limits_.max_header_bytes) {
      return {Outcome::refused, 0, &refusal(RequestFault::header_too_large)};
    }
    return {Outcome::need_more};
  }
  in_body_ = true;
  progress.outcome = is_done() ? Outcome::request_done : Outcome::head_done;
  return progress;
}

RequestParser::Progress RequestParser::parse_body(std::string_view input) {
  // Beast 1.74 asserts that whatever comes after the line of the last chunk comes two bytes at
  // once.
  if (chunked() && chunk_left_ == 0 && input.size() == 4 && input.starts_with("0\r\n")) return {};
  Progress progress = put_some(input);
  if (progress.outcome == Outcome::refused) return progress;
  if (is_done()) {
    progress.outcome = Outcome::request_done;
  } else if (progress.consumed == 0) {
    // An unfinished chunk header, or with its line complete a trailer section; neither may grow
    // without bound.
    const auto line = input.starts_with("\r\n") ? input.substr(2) : input;
    const auto end = line.find("\r\n");
    const bool trailers = end != std::string_view::npos;
    if (trailers) {
      // For a quoted string that its line does not end Beast waits, as if it went on.
      const auto header = line.substr(0, end);
      const auto digits = std::min(header.find_first_not_of("0123456789abcdefABCDEF"), end);
      if (auto verdict = check_chunk_extension(header.substr(digits), limits_)) {
        return {Outcome::refused, 0, verdict};
      }
    }
    const auto bound = max_chunk_size_digits + limits_.max_chunk_extension + 4 +
                       (trailers ? limits_.max_trailer_bytes : 0);
    if (input.size() > bound) {
      return {Outcome::refused, 0,
              &refusal(trailers ? RequestFault::trailers_too_large
                                : RequestFault::chunk_extension_too_long)};
    }
  }
  return progress;
}

RequestParser::Progress RequestParser::put_some(std::string_view input) {
  error_code ec;
  input_ = input;
  const std::size_t consumed = put({input.data(), input.size()}, ec);
  if (!ec || ec == http::error::need_more) return {Outcome::need_more, consumed};
  if (verdict_ == nullptr) verdict_ = &refusal(fault_of(ec, input.substr(consumed)));
  return {Outcome::refused, consumed, verdict_};
}

RequestFault RequestParser::fault_of(const error_code& ec, std::string_view rest) const {
  using enum RequestFault;
  if (ec.category() != make_error_code(http::error::need_more).category()) return bad_request_line;
  switch (static_cast<http::error>(ec.value())) {
    case http::error::bad_line_ending: return bad_line_ending;
    case http::error::bad_method: return bad_method;
    case http::error::bad_target: return bad_target;
    case http::error::bad_version: {
      // "HTTP/2.0" is a version that is not supported, "HTTP/1.1x" is no version at all.
      const auto line = rest.substr(0, rest.find_first_of("\r\n"));
      const auto space = line.rfind(' ');
      const auto version = space == std::string_view::npos ? line : line.substr(space + 1);
      const bool known = version == "HTTP/1.0" || version == "HTTP/1.1";
      return is_well_formed_version(version) && !known ? unsupported_version : bad_version;
    }
    case http::error::bad_field: return bad_field_name;
    case http::error::bad_value: return bad_field_value;
    case http::error::bad_obs_fold: return obs_fold;
    case http::error::bad_content_length: return bad_content_length;
    case http::error::bad_transfer_encoding: return bad_transfer_encoding;
    case http::error::header_limit: return header_too_large;
    case http::error::body_limit: return body_too_large;
    case http::error::bad_chunk: return bad_chunk;
    case http::error::bad_chunk_extension: return bad_chunk_extension;
    case http::error::partial_message: return truncated;
    default: return bad_request_line;
  }
}

void RequestParser::on_request_impl(http::verb, string_view method, string_view target, int version,
                                    error_code& ec) {
  const HttpVersion parsed{static_cast<std::uint8_t>(version / 10),
                           static_cast<std::uint8_t>(version % 10)};
  head_.set_request_line(std_view(method), std_view(target), served_version(parsed));
  if (auto verdict = check_request_line(std_view(method), std_view(target), parsed, limits_)) {
    refuse(verdict, ec);
  }
}

void RequestParser::on_field_impl(http::field field, string_view name, string_view value,
                                  error_code& ec) {
  // Beast unfolds a folded value into a buffer of its own, or skips the lines that are empty.
  const char* name_end = name.data() + name.size();
  const bool elsewhere =
      value.data() < input_.data() || value.data() > input_.data() + input_.size();
  const bool folded = elsewhere || std::find(name_end, value.data(), '\n') != value.data();
  if (in_body_) {
    if (auto verdict = trailers_.add(std_view(name), std_view(value), folded, limits_)) {
      return refuse(verdict, ec);
    }
    if (trailer_fit(std_view(name)) == TrailerFit::fits) {
      sink_.on_trailer(std_view(name), std_view(value));
    }
    return;
  }
  if (auto verdict = check_field(std_view(name), std_view(value), folded)) {
    return refuse(verdict, ec);
  }
  const auto text = std_view(value);
  head_.add_field(std_view(name), field == http::field::content_length ? plain_length(text) : text);
  // Here too, and not at the end alone: it bounds how often an unfinished head is parsed again.
  if (head_.fields().size() > limits_.max_header_fields) {
    refuse(&refusal(RequestFault::too_many_fields), ec);
  }
}

void RequestParser::on_header_impl(error_code&) {}

std::size_t RequestParser::on_body_impl(string_view body, error_code&) {
  sink_.on_body(std_view(body));
  return body.size();
}

void RequestParser::on_chunk_header_impl(std::uint64_t size, string_view extension,
                                         error_code& ec) {
  const auto text = input_.substr(0, static_cast<std::size_t>(extension.data() - input_.data()));
  const auto start = text.starts_with("\r\n") ? 2U : 0U;
  Verdict verdict = nullptr;
  if (text.size() - start > max_chunk_size_digits) verdict = &refusal(RequestFault::bad_chunk);
  if (verdict == nullptr) verdict = check_chunk_extension(std_view(extension), limits_);
  if (verdict == nullptr) {
    // Sums of sizes that overflow are larger than any limit.
    body_size_ = body_size_ + size < body_size_ ? UINT64_MAX : body_size_ + size;
    verdict = check_body_size(body_size_, limits_);
    chunk_left_ = size;
  }
  if (verdict != nullptr) refuse(verdict, ec);
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, string_view body, error_code&) {
  chunk_left_ -= body.size();
  if (!body.empty()) sink_.on_body(std_view(body));
  return body.size();
}

}  // namespace prowingen::http1
