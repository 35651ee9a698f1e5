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
