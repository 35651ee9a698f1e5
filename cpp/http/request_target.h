// The request target and the authority: RFC 9112 section 3.2, RFC 3986 section 3.2.
//
// Views that come back point into the target that went in, or at a constant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/refusal.h"

namespace prowingen {

enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

struct TargetParts {
  TargetForm form = TargetForm::origin;
  std::string_view scheme;     // absolute-form only: "http" or "https", case as sent
  std::string_view authority;  // absolute-form and authority-form only
  std::string_view path;       // still encoded; "/" for an absolute-form without one, "*" for "*"
  std::string_view query;      // without the '?'
};

/// Refuses a target that `method` cannot have: its octets, its form, its percent-encoding.
Verdict check_target(std::string_view method, std::string_view target);

/// Takes a target that check_target() accepted apart.
TargetParts split_target(std::string_view target);

/// %XX to octets (RFC 3986 section 2.1), in a text whose escapes have both their digits. What comes
/// back points at the text, where there is nothing to decode, or at `buffer`.
std::string_view percent_decode(std::string_view text, std::string& buffer);

struct Authority {
  std::string_view host;  // an IPv6 address in its brackets
  std::string_view port;  // digits, or empty
};

/// Takes an authority apart that is_valid_authority().
Authority split_authority(std::string_view authority);

/// True for `uri-host [":" port]`, the grammar of Host, with a host that is not empty and has no
/// octet, be it encoded, that would end a host where somebody decodes it.
bool is_valid_authority(std::string_view authority);

}  // namespace prowingen
