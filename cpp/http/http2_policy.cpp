#include "http/http2_policy.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "http/octets.h"
#include "http/request_target.h"

namespace prowingen {
namespace {

constexpr std::array<std::string_view, 5> connection_fields{
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};

bool belongs_to_connection(std::string_view name, std::string_view value) {
  for (const auto field : connection_fields) {
    if (equals_ignoring_case(name, field)) return true;
  }
  return equals_ignoring_case(name, "te") && !equals_ignoring_case(value, "trailers");
}

bool is_lower_case_token(std::string_view text) {
  return is_token(text) && std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

bool is_http2_field(std::string_view name, std::string_view value) {
  return is_lower_case_token(name) && is_field_value(value) && trim(value).size() == value.size() &&
         !belongs_to_connection(name, value);
}

Verdict check_http2_request(const RequestHead& head, const RequestLimits& limits,
                            RequestSemantics& out) {
  if (!is_token(head.method())) return &refusal(RequestFault::bad_method);
  if (head.method().size() > max_method_size) return &refusal(RequestFault::method_too_long);
  if (head.method() == "CONNECT" && !limits.allow_connect) {
    return &refusal(RequestFault::connect_unsupported);
  }
  if (head.method().size() + head.target().size() > limits.max_request_line) {
    return &refusal(RequestFault::request_line_too_long);
  }
  if (auto verdict = check_target(head.method(), head.target())) return verdict;
  for (const FieldLine& field : head.fields()) {
    const auto name = head.view(field.name);
    const auto value = head.view(field.value);
    if (auto verdict = check_field(name, value, false)) return verdict;
    if (belongs_to_connection(name, value)) return &refusal(RequestFault::connection_field);
  }
  return check_header_section(head, limits, out);
}

// RFC 8441 section 5: what HTTP/1.1 has for the protocol and for the handshake's proof is left out
// there.
void show_as_upgrade(RequestHead& head, std::string_view protocol) {
  constexpr std::string_view made_up_key = "AAAAAAAAAAAAAAAAAAAAAA==";
  head.add_field("connection", "Upgrade");
  head.add_field("upgrade", protocol);
  if (equals_ignoring_case(protocol, "websocket") && head.first("sec-websocket-key").empty()) {
    head.add_field("sec-websocket-key", made_up_key);
  }
}

}  // namespace prowingen
