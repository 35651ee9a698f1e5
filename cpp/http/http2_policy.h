// What the request policy means for HTTP/2 (RFC 9113 section 8): the rules that a codec, which
// knows frames and pseudo-header fields, leaves open. Pure functions, any thread.
#pragma once

#include "http/request_policy.h"

namespace prowingen {

inline constexpr HttpVersion http_2{2, 0};
inline constexpr HttpVersion http_3{3, 0};  // whose requests are the same (RFC 9114 section 4)

/// A client begins with it (RFC 9113 section 3.4); no request of HTTP/1 does.
inline constexpr std::string_view http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a field may be in a header or trailer section (sections 8.2.1 and 8.2.2): in lower case,
/// its value without white space around it, and none of a connection. Pseudo-header fields may not.
bool is_http2_field(std::string_view name, std::string_view value);

/// Checks a request as a whole. In `head`, :method and :path are the request line and :authority is
/// Host. The body's framing is HTTP/2's: `out.framing` tells only whether its length was announced.
Verdict check_http2_request(const RequestHead& head, const RequestLimits& limits,
                            RequestSemantics& out);

/// An extended CONNECT (RFC 8441, RFC 9220) is shown as what it stands for: the GET of HTTP/1.1
/// with an Upgrade. A WebSocket's has a key, too, which was made up, for applications that answer
/// it. `head` is that GET, and was checked.
void show_as_upgrade(RequestHead& head, std::string_view protocol);

}  // namespace prowingen
