// One field line by itself, in a header or a trailer section: RFC 9110 section 5 and 6.5,
// RFC 9112 section 5.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/refusal.h"

namespace prowingen {

/// `folded`: the field line went on in a further line (obs-fold). A name with an underscore is a
/// token and passes; since it could pass for another one in an environ, the environ's builder
/// drops it. `Content_Length` has no meaning to anything here.
Verdict check_field(std::string_view name, std::string_view value, bool folded);

/// As check_field(), and refuses a field of framing, routing or authentication. Any other field
/// that may not stand in a trailer section has come too late: it passes, to be dropped.
Verdict check_trailer_field(std::string_view name, std::string_view value, bool folded);

/// How a field fits into a trailer section (RFC 9110 section 6.5.1).
enum class TrailerFit : std::uint8_t {
  fits,
  late,      // about what the reader has done by now: modifiers, controls, the content's format
  forbidden  // framing, routing, authentication
};
TrailerFit trailer_fit(std::string_view name);

}  // namespace prowingen
