// IP addresses, and lists of those that are trusted: "10.0.0.0/8", "::1", "unix", "*".
//
// prowingen_wsgi/configuration/networks.py refuses what cannot be read here before it gets this
// far. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prowingen {

/// An address of IPv4 or IPv6. One of IPv4 that IPv6 carries (::ffff:192.0.2.1, RFC 4291 section
/// 2.5.5.2) is that one of IPv4: a socket for both families shows it so.
class IpAddress {
 public:
  /// Reads what inet_pton(3) reads: no zone, no brackets, no port, no leading zeros.
  static std::optional<IpAddress> parse(std::string_view text);
  /// Of four or sixteen octets in network order.
  static IpAddress from_octets(std::span<const std::uint8_t> octets);

  bool is_v4() const { return v4_; }
  /// In network order: four or sixteen.
  std::span<const std::uint8_t> octets() const { return {octets_.data(), v4_ ? 4U : 16U}; }
  /// The shortest way to write it (RFC 5952).
  std::string text() const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  bool v4_ = true;
  std::array<std::uint8_t, 16> octets_{};
};

/// A port, 0 to 65535, in digits without leading zeros.
bool is_port(std::string_view text);

class Networks {
 public:
  Networks() = default;
  /// Throws std::invalid_argument that quotes the first text that is none.
  explicit Networks(std::span<const std::string> texts);

  bool empty() const { return !everybody_ && !unix_ && networks_.empty(); }
  bool contains(const IpAddress& address) const;
  /// The same of a connection's peer as ConnectionInfo has it: empty for a Unix socket.
  bool contains_peer(std::string_view address) const;

 private:
  struct Network {
    IpAddress address;
    unsigned bits;
  };

  static std::optional<Network> parse(std::string_view text);

  bool everybody_ = false;
  bool unix_ = false;
  std::vector<Network> networks_;
};

}  // namespace prowingen
