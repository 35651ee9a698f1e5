#include "http/field_rules.h"

#include <algorithm>
#include <array>

#include "http/message.h"
#include "http/octets.h"

namespace prowingen {
namespace {

// RFC 9110 6.5.1: what describes framing, routing, authentication, request modifiers, response
// controls or the content's format is of no use after the content, and dangerous to a recipient
// that merges trailers into headers. Content-* is told by its prefix.
constexpr std::array<std::string_view, 42> forbidden_trailers{
    // framing and the connection
    "transfer-encoding", "trailer", "te", "connection", "keep-alive", "proxy-connection", "upgrade",
    "http2-settings",
    // routing
    "host", "forwarded", "via", "max-forwards", "x-forwarded-for", "x-forwarded-host",
    "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-proto", "x-real-ip",
    // authentication
    "authorization", "proxy-authorization", "cookie", "set-cookie", "www-authenticate",
    "proxy-authenticate",
    // request modifiers: controls and conditionals
    "cache-control", "expect", "pragma", "prefer", "range", "if", "if-match", "if-none-match",
    "if-modified-since", "if-unmodified-since", "if-range",
    // response controls
    "age", "date", "expires", "location", "retry-after", "vary", "warning"};

bool is_forbidden_trailer(std::string_view name) {
  constexpr std::string_view content = "content-";
  if (name.size() > content.size() &&
      equals_ignoring_case(name.substr(0, content.size()), content)) {
    // Integrity checks are what trailers are for (RFC 9110 6.5, RFC 9530 section 2).
    const auto rest = name.substr(content.size());
    return !equals_ignoring_case(rest, "digest") && !equals_ignoring_case(rest, "md5");
  }
  return std::ranges::any_of(forbidden_trailers, [&](std::string_view forbidden) {
    return equals_ignoring_case(name, forbidden);
  });
}

}  // namespace

Verdict check_field(std::string_view name, std::string_view value, bool folded) {
  if (folded) return &refusal(RequestFault::obs_fold);
  if (!is_token(name)) return &refusal(RequestFault::bad_field_name);
  if (!is_field_value(value)) return &refusal(RequestFault::bad_field_value);
  return nullptr;
}

Verdict check_trailer_field(std::string_view name, std::string_view value, bool folded) {
  if (auto verdict = check_field(name, value, folded)) return verdict;
  return is_forbidden_trailer(name) ? &refusal(RequestFault::forbidden_trailer) : nullptr;
}

}  // namespace prowingen
