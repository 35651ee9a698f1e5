// A client's opening handshake (RFC 6455 section 4.2), and what the answer to it says.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "websocket/compression.h"

namespace prowingen::websocket {

/// What an application takes.
struct Offer {
  std::vector<std::string> subprotocols;  // the first that the client knows too is spoken
  /// Origins (RFC 6454) whose pages may connect; empty: any. One that sends none is no browser.
  std::vector<std::string> origins;
  bool same_origin = false;  // that of the request's own host, too
  bool compress = true;
  Compression compression;  // what is wanted of it
};

struct Handshake {
  /// 101, or the status to refuse it with: 400, 403, 426.
  int status = 101;
  std::string fault;  // a sentence
  std::string accept;
  std::string subprotocol;  // empty: none
  Compression compression;
  std::string extensions;  // Sec-WebSocket-Extensions; empty: none
};

/// `scheme` and `authority` are those that the client asked for: see Offer::same_origin.
Handshake answer_handshake(const RequestHead& request, std::string_view scheme,
                           std::string_view authority, const Offer& offer);

/// Sec-WebSocket-Accept (section 4.2.2).
std::string accept_key(std::string_view key);

}  // namespace prowingen::websocket
