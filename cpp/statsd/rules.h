// Where figures are pushed, how often and in which form.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "statsd/lines.h"

namespace prowingen::statsd {

/// Where somebody listens for datagrams.
struct Address {
  std::string written;
  std::string host;  // a name or an address without brackets
  std::string port;
  std::string path;  // of a Unix socket; empty: it is none

  /// How much goes there at once. By UDP what is in a frame of Ethernet beside the headers of IPv6
  /// and some room for tunnels; else what Datadog's Agent reads, and the system's sockets take.
  std::size_t datagram_size() const {
#ifdef __APPLE__
    constexpr std::size_t by_unix_socket = 2048;
#else
    constexpr std::size_t by_unix_socket = 8192;
#endif
    constexpr std::size_t by_udp = 1432;
    return path.empty() ? by_udp : by_unix_socket;
  }
};

struct Rules {
  Address address;
  Lines::Rules lines;
  std::chrono::nanoseconds interval{};
};

}  // namespace prowingen::statsd
