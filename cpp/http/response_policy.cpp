#include "http/response_policy.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "http/field_rules.h"
#include "http/lists.h"

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
    {"connection", ResponseField::connection},
    {"keep-alive", ResponseField::keep_alive},
    {"proxy-authenticate", ResponseField::proxy_authenticate},
    {"proxy-authorization", ResponseField::proxy_authorization},
    {"proxy-connection", ResponseField::proxy_connection},
    {"te", ResponseField::te},
    {"trailers", ResponseField::trailers},  // wsgiref.util.is_hop_by_hop(): nothing that HTTP knows
    {"transfer-encoding", ResponseField::transfer_encoding},
    {"upgrade", ResponseField::upgrade},
}};

struct NamedStatus {
  int status;
  std::string_view phrase;
};

constexpr std::array<NamedStatus, 42> phrases{{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
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

// The server frames every answer itself, so that these say nothing new. Any other coding would be
// one that the application has applied to its content and the client would not be told of.
bool is_framing_alone(std::string_view transfer_encoding) {
  const auto coding = trim(transfer_encoding);
  return equals_ignoring_case(coding, "chunked") || equals_ignoring_case(coding, "identity");
}

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
  if (kind == ResponseField::transfer_encoding && !is_framing_alone(value)) {
    return FieldFault::transfer_coding;
  }
  if (kind == ResponseField::content_length && !parse_content_length(value)) {
    return FieldFault::length_not_decimal;
  }
  return std::nullopt;
}

std::optional<FieldFault> check_interim_field(std::string_view name, std::string_view value) {
  const ResponseField kind = classify_response_field(name);
  if (is_hop_by_hop(kind) || kind == ResponseField::content_length) return FieldFault::not_interim;
  return check_response_field(kind, name, value);
}

std::optional<FieldFault> check_response_trailer(std::string_view name, std::string_view value) {
  const ResponseField kind = classify_response_field(name);
  if (is_hop_by_hop(kind) || trailer_fit(name) != TrailerFit::fits) {
    return FieldFault::not_trailing;
  }
  return check_response_field(kind, name, value);
}

std::string describe(FieldFault fault, std::string_view name, std::string_view value) {
  switch (fault) {
    case FieldFault::name_not_token:
      return "header name " + quoted(name) + " is not a token (RFC 9110 5.1)";
    case FieldFault::value_has_control:
      return "the value of header " + quoted(name) + " has a control character (RFC 9110 5.5)";
    case FieldFault::transfer_coding:
      return "Transfer-Encoding " + quoted(value) +
             ": only the server can apply a transfer coding (PEP 3333); a coding of the content "
             "belongs in Content-Encoding";
    case FieldFault::length_not_decimal:
      return "Content-Length " + quoted(value) + " is not a decimal number";
    case FieldFault::length_contradicts:
      return "Content-Length " + quoted(value) + " contradicts an earlier one";
    case FieldFault::not_interim:
      return "header " + quoted(name) +
             " cannot be in an interim answer: it is about the connection or the content (RFC 9110 "
             "7.6.1, 8.6)";
    case FieldFault::not_trailing:
      return "field " + quoted(name) +
             " cannot be in a trailer section: it is about framing, routing, authentication, "
             "caching or the content's format, which are read before the content (RFC 9110 6.5.1)";
  }
  return {};
}

ConnectionWishes parse_connection(std::string_view value) {
  ConnectionWishes wishes;
  for_each_member(value, [&](std::string_view option) {
    const bool close = equals_ignoring_case(option, "close");
    wishes.close |= close;
    wishes.more |= !close && !option.empty();
    return false;
  });
  return wishes;
}

bool is_of_switch(std::string_view name) {
  return equals_ignoring_case(name, "Connection") || equals_ignoring_case(name, "Upgrade") ||
         equals_ignoring_case(name, "Sec-WebSocket-Accept");
}

bool may_name_protocols(int status, HttpVersion version) {
  return (status == 101 || status == 426) && version == HttpVersion{1, 1};
}

std::string quoted(std::string_view text) {
  constexpr std::size_t enough = 100;
  return "\"" + std::string(text.substr(0, enough)) + "\"";
}

std::optional<StatusLine> parse_status(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool numbered = text.size() >= 3 && digit(text[0]) && digit(text[1]) && digit(text[2]);
  if (!numbered || (text.size() > 3 && text[3] != ' ')) return std::nullopt;
  if (text[0] < '2' && !text.starts_with("101")) return std::nullopt;
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
  if (body.opaque) return ResponseFraming::opaque;
  if (body.until_close) return ResponseFraming::until_close;
  if (!body.allowed) return ResponseFraming::none;
  if (body.length_known) return ResponseFraming::sized;
  return version == HttpVersion{1, 1} ? ResponseFraming::chunked : ResponseFraming::until_close;
}

bool refuses_tunnel(const RequestHead& request, const ResponseBody& body) {
  return request.method() == "CONNECT" && !body.opaque;
}

bool takes_trailers(const RequestHead& request) {
  if (request.version != HttpVersion{1, 1}) return request.version.major >= 2;
  for (const FieldLine& field : request.fields()) {
    if (!equals_ignoring_case(request.view(field.name), "te")) continue;
    const bool takes = for_each_member(request.view(field.value), [](std::string_view coding) {
      return equals_ignoring_case(trim(coding.substr(0, coding.find(';'))), "trailers");
    });
    if (takes) return true;
  }
  return false;
}

bool may_have_trailers(const RequestHead& request, const ResponseBody& body) {
  const bool has_room = request.version.major >= 2
                            ? body.allowed
                            : frame_response(request.version, body) == ResponseFraming::chunked;
  return has_room && takes_trailers(request);
}

std::string_view reason_phrase(int status) {
  const auto found = std::ranges::find(phrases, status, &NamedStatus::status);
  return found == phrases.end() ? std::string_view("Unknown") : found->phrase;
}

}  // namespace prowingen
