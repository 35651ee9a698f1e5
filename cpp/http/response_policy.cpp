#include "http/response_policy.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace prowingen {
namespace {

struct NamedField {
  std::string_view name;
  ResponseField kind;
};

constexpr std::array<NamedField, 12> special_fields{{
    {"content-length", ResponseField::content_length},
    {"date", ResponseField::date},
    {"server", ResponseField::server},
    {"connection", ResponseField::hop_by_hop},
    {"keep-alive", ResponseField::hop_by_hop},
    {"proxy-authenticate", ResponseField::hop_by_hop},
    {"proxy-authorization", ResponseField::hop_by_hop},
    {"te", ResponseField::hop_by_hop},
    {"trailer", ResponseField::hop_by_hop},
    {"trailers", ResponseField::hop_by_hop},
    {"transfer-encoding", ResponseField::hop_by_hop},
    {"upgrade", ResponseField::hop_by_hop},
}};

struct NamedStatus {
  int status;
  std::string_view phrase;
};

constexpr std::array<NamedStatus, 41> phrases{{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
}};

}  // namespace

ResponseField classify_response_field(std::string_view name) {
  for (const auto& field : special_fields) {
    if (field.name.size() == name.size() && equals_ignoring_case(field.name, name)) {
      return field.kind;
    }
  }
  return ResponseField::other;
}

std::optional<FieldFault> check_response_field(ResponseField kind, std::string_view name,
                                               std::string_view value) {
  if (!is_token(name)) return FieldFault::name_not_token;
  if (!is_field_value(value)) return FieldFault::value_has_control;
  if (kind == ResponseField::hop_by_hop) return FieldFault::hop_by_hop;
  if (kind == ResponseField::content_length && !parse_content_length(value)) {
    return FieldFault::length_not_decimal;
  }
  return std::nullopt;
}

std::string describe(FieldFault fault, std::string_view name, std::string_view value) {
  switch (fault) {
    case FieldFault::name_not_token:
      return "header name " + quoted(name) + " is not a token (RFC 9110 5.1)";
    case FieldFault::value_has_control:
      return "the value of header " + quoted(name) + " has a control character (RFC 9110 5.5)";
    case FieldFault::hop_by_hop:
      return "header " + quoted(name) + " is hop-by-hop: only the server may set it (PEP 3333)";
    case FieldFault::length_not_decimal:
      return "Content-Length " + quoted(value) + " is not a decimal number";
    case FieldFault::length_contradicts:
      return "Content-Length " + quoted(value) + " contradicts an earlier one";
  }
  return {};
}

std::string quoted(std::string_view text) {
  constexpr std::size_t enough = 100;
  return "\"" + std::string(text.substr(0, enough)) + "\"";
}

std::optional<StatusLine> parse_status(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool numbered = text.size() >= 3 && digit(text[0]) && digit(text[1]) && digit(text[2]);
  if (!numbered || (text.size() > 3 && text[3] != ' ') || text[0] < '2') return std::nullopt;
  return StatusLine{(text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0'),
                    text.size() > 4 ? text.substr(4) : std::string_view()};
}

std::optional<std::uint64_t> parse_content_length(std::string_view value) {
  std::uint64_t length = 0;
  const char* end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data(), end, length);
  if (error != std::errc() || at != end) return std::nullopt;
  return length;
}

bool response_has_content(std::string_view method, int status) {
  return method != "HEAD" && status >= 200 && status != 204 && status != 304;
}

ResponseFraming frame_response(HttpVersion version, const ResponseBody& body) {
  if (!body.allowed) return ResponseFraming::none;
  if (body.length_known) return ResponseFraming::sized;
  return version == HttpVersion{1, 1} ? ResponseFraming::chunked : ResponseFraming::until_close;
}

std::string_view reason_phrase(int status) {
  const auto found = std::ranges::find(phrases, status, &NamedStatus::status);
  return found == phrases.end() ? std::string_view("Unknown") : found->phrase;
}

}  // namespace prowingen
