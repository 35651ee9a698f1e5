// What proxies say of a request in its fields: X-Forwarded-For, -Proto, -Host, -Port and -Prefix,
// or Forwarded (RFC 7239). One of the two families is read, the other is a client's for all we
// know.
//
// Each proxy adds, on the right, the address that it was asked from. So only as much of the list is
// true as trusted proxies have written, and it is read from the right: the peer is trusted, hence
// the rightmost element is; while that names a trusted proxy, the one before it is; and so on. The
// first address that is not trusted is the client's. All that stands left of it the client may have
// made up. Where every address is trusted, the leftmost is the client's.
//
// A value is judged by what it becomes: a quoted string by its content, an encoded prefix by the
// path that an application will be shown.
//
// Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"
#include "proxies/networks.h"

namespace prowingen {

struct ForwardedRules {
  enum class Family : std::uint8_t { x_forwarded, forwarded };

  Networks trusted;
  Family family = Family::x_forwarded;
  // What is read: what the proxies set whatever the client sent.
  bool client = true;  // for=
  bool scheme = true;  // proto=
  bool host = false;
  bool port = false;    // of X-Forwarded-* alone
  bool prefix = false;  // likewise
};

/// Empty where nothing is said that is valid.
struct ForwardedFacts {
  std::string client_address;
  std::string client_port;
  std::string_view scheme;  // "http" or "https"
  std::string host;         // an authority: is_valid_authority()
  std::string port;
  std::string prefix;  // a path, decoded, without a slash at its end
};

/// Reads the fields of a request whose peer is trusted.
ForwardedFacts read_forwarded(const RequestHead& head, const ForwardedRules& rules);

}  // namespace prowingen
