// The traceparent field (W3C Trace Context, levels 1 and 2, section 3.2):
//
//   version "-" trace-id "-" parent-id "-" trace-flags     00-<32 hex digits>-<16>-<2>
//
// in lower case. A later version may have more behind another "-".
#pragma once

#include <array>
#include <string_view>

namespace prowingen::tracing {

bool is_trace_parent(std::string_view text);
/// Of a new trace, to be recorded. Throws std::system_error.
std::array<char, 55> make_trace_parent();

}  // namespace prowingen::tracing
