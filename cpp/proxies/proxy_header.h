// The header that a proxy of connections sends ahead of a client's bytes: HAProxy's PROXY protocol,
// version 1 (a line) and 2 (binary), https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt.
//
// A header is all or nothing: what is not one to the letter is malformed, and nothing in it is
// used. No sockets here, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace prowingen {

/// For whom a proxy speaks on a connection.
enum class ProxySource : std::uint8_t {
  /// For itself (LOCAL), as it does to see whether the server is there.
  itself,
  /// For somebody whose addresses it does not tell (UNKNOWN, AF_UNSPEC).
  unknown,
  /// For a client, whose connection's ends are told. A Unix socket's have no names.
  client
};

struct ProxyHeader {
  ProxySource source = ProxySource::itself;
  // The two ends of the client's connection to the proxy, as text; empty for a Unix socket.
  std::string remote_address, remote_port;
  std::string local_address, local_port;
  /// The client speaks TLS to the proxy.
  bool secure = false;
};

struct ProxyHeaderProgress {
  enum class Outcome : std::uint8_t { need_more, complete, malformed };
  Outcome outcome = Outcome::need_more;
  std::size_t size = 0;    // of a complete header: what follows is the client's
  std::string_view fault;  // of a malformed one
};

/// Reads the header that a connection begins with from the bytes that have come so far. While it
/// needs more, all of them belong to the header.
ProxyHeaderProgress parse_proxy_header(std::string_view input, ProxyHeader& out);

}  // namespace prowingen
