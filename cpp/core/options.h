// The options of a server, as the native side sees them.
//
// `options.inc` is generated from the dataclass in prowingen_wsgi/configuration/config.py, where
// names, types, defaults and help are written once. It holds PROWINGEN_OPTION(type, name, default)
// lines; durations are seconds.
#pragma once

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "http/request_policy.h"

namespace prowingen {

struct Options {
#define PROWINGEN_OPTION(type, name, ...) type name = __VA_ARGS__;
#include "options.inc"
#undef PROWINGEN_OPTION

  RequestLimits request_limits() const {
    RequestLimits limits;
    limits.max_request_line = max_request_line;
    limits.max_header_bytes = max_header_bytes;
    limits.max_header_fields = max_header_fields;
    limits.max_field_line = max_field_line != 0 ? max_field_line : max_header_bytes;
    limits.max_body = max_body;
    limits.max_chunk_extension = max_chunk_extension;
    limits.max_trailer_bytes = max_trailer_bytes;
    limits.allow_connect = allow_connect;
    return limits;
  }

  /// What goes with answers by HTTPS as Strict-Transport-Security (RFC 6797); empty: nothing. In
  /// whole seconds, of which none would end what was told before.
  std::string transport_security() const {
    if (hsts <= 0) return {};
    return "max-age=" + std::to_string(static_cast<std::uint64_t>(std::ceil(hsts)));
  }
};

inline std::chrono::steady_clock::duration to_duration(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

}  // namespace prowingen
