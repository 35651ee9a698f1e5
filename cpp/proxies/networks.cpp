#include "proxies/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>

#include "http/octets.h"

namespace prowingen {
namespace {

constexpr std::array<std::uint8_t, 12> v4_mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

/// Whether the two begin with the same bits.
bool same_bits(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  if (bits % 8 == 0) return true;
  const unsigned mask = 0xFF00U >> bits % 8 & 0xFFU;
  return ((a[whole] ^ b[whole]) & mask) == 0;
}

/// At most `most`, in digits; leading zeros may stand.
std::optional<unsigned> parse_number(std::string_view digits, unsigned most) {
  if (digits.empty() || !all_are(digits, Octet::digit)) return std::nullopt;
  unsigned number = 0;
  for (const char c : digits) number = std::min(number * 10 + unsigned(c - '0'), most + 1);
  if (number > most) return std::nullopt;
  return number;
}

bool has_host_bits(std::span<const std::uint8_t> octets, unsigned network_bits) {
  for (unsigned at = network_bits / 8; at < octets.size(); ++at) {
    const unsigned kept = at == network_bits / 8 ? network_bits % 8 : 0;
    if ((octets[at] & 0xFFU >> kept) != 0) return true;
  }
  return false;
}

}  // namespace

bool is_port(std::string_view text) {
  return parse_number(text, 65535) && (text.size() == 1 || text.front() != '0');
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::ranges::copy(text, terminated.begin());
  std::array<std::uint8_t, 16> octets{};
  if (::inet_pton(AF_INET, terminated.data(), octets.data()) == 1) {
    return from_octets(std::span(octets).first(4));
  }
  if (::inet_pton(AF_INET6, terminated.data(), octets.data()) == 1) return from_octets(octets);
  return std::nullopt;
}

IpAddress IpAddress::from_octets(std::span<const std::uint8_t> octets) {
  IpAddress address;
  if (octets.size() == 16 && std::ranges::equal(octets.first(v4_mapped.size()), v4_mapped)) {
    octets = octets.last(4);
  }
  address.v4_ = octets.size() == 4;
  std::ranges::copy(octets, address.octets_.begin());
  return address;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(v4_ ? AF_INET : AF_INET6, octets_.data(), text.data(), text.size());
  return text.data();
}

std::optional<Networks::Network> Networks::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto written = text.substr(0, slash);
  const auto address = IpAddress::parse(written);
  if (!address) return std::nullopt;
  // As written: ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  const bool as_v6 = written.find(':') != std::string_view::npos;
  const unsigned carrier = as_v6 && address->is_v4() ? 96 : 0;
  unsigned bits = as_v6 ? 128 : 32;
  if (slash != std::string_view::npos) {
    const auto given = parse_number(text.substr(slash + 1), bits);
    if (!given) return std::nullopt;
    bits = *given;
  }
  if (bits < carrier) return std::nullopt;  // ::ffff:0:0 has bits beyond those
  const Network network{*address, bits - carrier};
  if (has_host_bits(address->octets(), network.bits)) return std::nullopt;
  return network;
}

Networks::Networks(std::span<const std::string> texts) {
  for (const auto& text : texts) {
    if (text == "*") {
      everybody_ = true;
    } else if (text == "unix") {
      unix_ = true;
    } else if (const auto network = parse(text)) {
      networks_.push_back(*network);
    } else {
      throw std::invalid_argument('"' + text + "\": must be an address, a network, unix or *");
    }
  }
}

bool Networks::contains(const IpAddress& address) const {
  if (everybody_) return true;
  return std::ranges::any_of(networks_, [&](const Network& network) {
    return network.address.is_v4() == address.is_v4() &&
           same_bits(network.address.octets(), address.octets(), network.bits);
  });
}

bool Networks::contains_peer(std::string_view address) const {
  if (everybody_) return true;
  if (address.empty()) return unix_;
  // A link-local address may come with its zone, which the networks do not have.
  const auto parsed = IpAddress::parse(address.substr(0, address.find('%')));
  return parsed && contains(*parsed);
}

}  // namespace prowingen
