// Cache-Control as a shared cache reads it: RFC 9111 section 5.2, RFC 5861.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace prowingen::response_cache {

/// What the fields of one message say together.
struct CacheControl {
  std::optional<std::chrono::seconds> s_maxage;
  std::optional<std::chrono::seconds> stale_while_revalidate;
  bool no_store = false;
  bool no_cache = false;         // also of some fields alone
  bool is_private = false;       // likewise
  bool must_revalidate = false;  // by either name
  /// Not to be read, or it says two things: nothing may be made of it.
  bool malformed = false;

  /// Adds what a field line says.
  void read(std::string_view value);

 private:
  void take(std::string_view name, std::optional<std::string_view> argument);
};

/// delta-seconds (section 1.2.2); what is beyond 2^31 is that. Nothing if it is none.
std::optional<std::chrono::seconds> parse_delta_seconds(std::string_view text);

}  // namespace prowingen::response_cache
