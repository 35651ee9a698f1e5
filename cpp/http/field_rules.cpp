#include "http/field_rules.h"

#include <algorithm>
#include <array>

#include "http/message.h"
#include "http/octets.h"

namespace prowingen {
namespace {

// RFC 9110 6.5.1: what describes framing, routing, authentication, request modifiers, response
// controls or the content's format may not stand after the content. These are the ones that make a
// recipient that merges trailers into headers take another request for this one, which nobody sends
// in good faith; the others are merely too late.
constexpr std::array<std::string_view, 20> forbidden_trailers{
    // framing and the connection
    "transfer-encoding", "content-length", "trailer", "te", "connection", "keep-alive",
    "proxy-connection", "upgrade", "http2-settings",
    // routing; X-Forwarded-* is told by its prefix
    "host", "forwarded", "via", "max-forwards", "x-real-ip",
    // authentication
    "authorization", "proxy-authorization", "cookie", "set-cookie", "www-authenticate",
    "proxy-authenticate"};

bool is_forbidden_trailer(std::string_view name) {
  constexpr std::string_view forwarded = "x-forwarded-";
  if (equals_ignoring_case(name.substr(0, forwarded.size()), forwarded)) return true;
  return std::ranges::any_of(forbidden_trailers, [&](std::string_view forbidden) {
    return equals_ignoring_case(name, forbidden);
  });
}

// The content's format is told by its prefix, conditions likewise.
constexpr std::array<std::string_view, 11> late_trailers{
    // request modifiers
    "cache-control", "expect", "pragma", "range",
    // response controls
    "age", "date", "expires", "location", "retry-after", "vary", "warning"};

// Known when the content is: they are what trailers are for (RFC 9530 section 2).
constexpr std::array<std::string_view, 2> late_exceptions{"content-digest", "content-md5"};

bool is_late_trailer(std::string_view name) {
  const auto is_name = [&](std::string_view other) { return equals_ignoring_case(name, other); };
  const auto begins = [&](std::string_view prefix) {
    return name.size() > prefix.size() &&
           equals_ignoring_case(name.substr(0, prefix.size()), prefix);
  };
  if (begins("if-") || std::ranges::any_of(late_trailers, is_name)) return true;
  return begins("content-") && std::ranges::none_of(late_exceptions, is_name);
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

TrailerFit trailer_fit(std::string_view name) {
  if (is_forbidden_trailer(name)) return TrailerFit::forbidden;
  return is_late_trailer(name) ? TrailerFit::late : TrailerFit::fits;
}

}  // namespace prowingen
