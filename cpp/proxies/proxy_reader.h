// The header that a connection begins with, off its socket and no byte more: what follows is for
// HTTP, or for TLS. The thread that waits for the socket.
#pragma once

#include <string>
#include <string_view>

#include "proxies/proxy_header.h"

namespace prowingen {

class ProxyHeaderReader {
 public:
  enum class Outcome : std::uint8_t {
    need_more,  // wait until the socket is readable again
    complete,
    malformed,
    closed  // by the peer before it sent anything: how some see whether the server is there
  };

  /// Reads on, from a non-blocking socket.
  Outcome read(int socket);

  const ProxyHeader& header() const { return header_; }
  std::string_view fault() const { return fault_; }  // of a malformed one

 private:
  Outcome malformed(std::string_view fault);

  std::string begun_;  // of a header that is not complete
  ProxyHeader header_;
  std::string_view fault_;
};

}  // namespace prowingen
