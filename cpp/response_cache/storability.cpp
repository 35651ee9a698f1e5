#include "response_cache/storability.h"

#include <algorithm>
#include <array>

#include "http/date.h"
#include "response_cache/cache_control.h"

namespace prowingen::response_cache {
namespace {

using std::chrono::seconds;

// Those that RFC 9110 lets be kept by their meaning (section 15.1), but for 204, which has nothing
// to keep, and 206, which is a part.
constexpr std::array kept_statuses{200, 203, 300, 301, 308, 404, 405, 410, 414, 501};

// Fields of an answer that is one client's, or no whole.
bool forbids(std::string_view name) {
  constexpr std::array<std::string_view, 4> names{"Set-Cookie", "Set-Cookie2", "Content-Range",
                                                  "Trailer"};
  return std::ranges::any_of(names, [&](auto each) { return equals_ignoring_case(name, each); });
}

// What a request with one of these is answered is the application's to say: of a range nothing is
// known here, and the other two are for the origin (RFC 9111 section 4.3.2).
bool is_for_application(std::string_view name) {
  switch (name.size()) {
    case 5: return equals_ignoring_case(name, "Range");
    case 8: return equals_ignoring_case(name, "If-Match");
    case 19: return equals_ignoring_case(name, "If-Unmodified-Since");
    default: return false;
  }
}

// Says one thing, once.
template <typename Value>
bool set_once(std::optional<Value>& to, std::optional<Value> value) {
  if (to || !value) return false;
  to = value;
  return true;
}

bool is_cache_control(std::string_view name) {
  constexpr std::string_view cache_control = "Cache-Control";
  return name.size() == cache_control.size() && equals_ignoring_case(name, cache_control);
}

}  // namespace

RequestFit fit_of(const Exchange& exchange) {
  const RequestHead& request = exchange.request;
  const bool gets = request.method() == "GET";
  if (!gets && request.method() != "HEAD") return {};
  // An absolute-form names an authority of its own, and is nothing that clients send to a server.
  const bool is_plain = !exchange.has_body && !exchange.may_upgrade &&
                        !exchange.may_have_trailers && request.target().starts_with('/');
  if (!is_plain) return {};
  CacheControl control;
  for (const FieldLine& field : request.fields()) {
    const auto name = request.view(field.name);
    if (is_for_application(name)) return {};
    if (is_cache_control(name)) control.read(request.view(field.value));
  }
  return {true, gets && !control.no_store};
}

bool is_safe(std::string_view method) {
  constexpr std::array<std::string_view, 4> safe{"GET", "HEAD", "OPTIONS", "TRACE"};
  return std::ranges::find(safe, method) != safe.end();
}

std::optional<Lifetime> lifetime_of(const ResponseHead& head, std::time_t now) {
  CacheControl control;
  std::optional<seconds> age;
  std::optional<std::time_t> date;
  for (const FieldLine& field : head.fields()) {
    const auto name = head.view(field.name);
    const auto value = head.view(field.value);
    if (forbids(name)) return std::nullopt;
    if (is_cache_control(name)) {
      control.read(value);
    } else if (equals_ignoring_case(name, "Age")) {
      if (!set_once(age, parse_delta_seconds(value))) return std::nullopt;
    } else if (equals_ignoring_case(name, "Date")) {
      if (!set_once(date, parse_http_date(value))) return std::nullopt;
    }
  }
  if (!control.s_maxage || control.malformed || control.no_store || control.no_cache ||
      control.is_private || std::ranges::find(kept_statuses, head.status) == kept_statuses.end()) {
    return std::nullopt;
  }
  Lifetime lifetime;
  lifetime.fresh = *control.s_maxage;
  if (!control.must_revalidate) {
    lifetime.stale = control.stale_while_revalidate.value_or(seconds(0));
  }
  lifetime.age =
      std::max({seconds(0), age.value_or(seconds(0)), seconds(now - date.value_or(now))});
  if (lifetime.age >= lifetime.fresh) return std::nullopt;
  return lifetime;
}

}  // namespace prowingen::response_cache
