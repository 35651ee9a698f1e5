#include "proxies/proxy_header.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "proxies/crc32c.h"
#include "proxies/networks.h"

namespace prowingen {
namespace {

using Outcome = ProxyHeaderProgress::Outcome;
using namespace std::literals;

constexpr std::string_view v1_start = "PROXY "sv;
constexpr std::string_view v2_start = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t v1_longest = 107;  // the line with its CR LF
constexpr std::size_t v2_fixed = 16;     // signature, version and command, family, length

ProxyHeaderProgress malformed(std::string_view fault) { return {Outcome::malformed, 0, fault}; }

// ---------------------------------------------------------------------------- version 1

/// Cuts off what stands before the next space; all of it if there is none.
std::string_view next_word(std::string_view& line) {
  const auto space = std::min(line.find(' '), line.size());
  const auto word = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return word;
}

/// What stands between "PROXY " and CR LF.
std::string_view read_line(std::string_view line, ProxyHeader& out) {
  const auto family = next_word(line);
  if (family == "UNKNOWN") {
    out.source = ProxySource::unknown;
    return {};
  }
  const bool v4 = family == "TCP4";
  if (!v4 && family != "TCP6") return "its family is none of TCP4, TCP6 and UNKNOWN";
  std::array<std::string_view, 4> words;
  const bool four = std::ranges::count(line, ' ') == 3;
  for (auto& word : words) word = next_word(line);
  const auto read_address = [&](std::string_view text) {
    const bool as_v4 = text.find(':') == std::string_view::npos;
    return as_v4 == v4 ? IpAddress::parse(text) : std::nullopt;
  };
  const auto source = read_address(words[0]);
  const auto destination = read_address(words[1]);
  if (!four || !source || !destination) return "it has not two addresses of its family";
  if (!is_port(words[2]) || !is_port(words[3])) return "it has not two ports";
  out.source = ProxySource::client;
  out.remote_address = source->text();
  out.local_address = destination->text();
  out.remote_port = words[2];
  out.local_port = words[3];
  return {};
}

ProxyHeaderProgress parse_v1(std::string_view input, ProxyHeader& out) {
  const auto end = input.substr(0, v1_longest).find("\r\n");
  if (end == std::string_view::npos) {
    if (input.size() < v1_longest) return {};
    return malformed("its line is longer than 107 octets");
  }
  const auto fault = read_line(input.substr(v1_start.size(), end - v1_start.size()), out);
  return fault.empty() ? ProxyHeaderProgress{Outcome::complete, end + 2, {}} : malformed(fault);
}

// ---------------------------------------------------------------------------- version 2

enum class TlvType : std::uint8_t { crc32c = 0x03, ssl = 0x20 };

constexpr unsigned octet_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}
constexpr unsigned number_at(std::string_view bytes, std::size_t at) {
  return octet_at(bytes, at) << 8U | octet_at(bytes, at + 1);
}

struct Tlv {
  unsigned type = 0;
  std::string_view value;
};

/// Cuts the first one off; nothing if it does not end in time.
std::optional<Tlv> next_tlv(std::string_view& bytes) {
  constexpr std::size_t head = 3;
  if (bytes.size() < head || bytes.size() - head < number_at(bytes, 1)) return std::nullopt;
  const Tlv tlv{octet_at(bytes, 0), bytes.substr(head, number_at(bytes, 1))};
  bytes.remove_prefix(head + tlv.value.size());
  return tlv;
}

/// The checksum of the whole header, in which its own four octets count as zeros.
bool has_checksum(std::string_view header, std::string_view checksum) {
  const auto at = static_cast<std::size_t>(checksum.data() - header.data());
  Crc32c computed;
  computed.add(header.substr(0, at));
  computed.add("\0\0\0\0"sv);
  computed.add(header.substr(at + checksum.size()));
  const auto sent = number_at(checksum, 0) << 16U | number_at(checksum, 2);
  return computed.value() == sent;
}

/// PP2_TYPE_SSL: flags, the result of verifying a certificate, and TLVs within.
bool read_ssl(std::string_view value, bool& secure) {
  constexpr std::size_t fixed = 5;
  constexpr unsigned client_ssl = 0x01;
  if (value.size() < fixed) return false;
  for (auto inner = value.substr(fixed); !inner.empty();) {
    if (!next_tlv(inner)) return false;
  }
  secure = (octet_at(value, 0) & client_ssl) != 0;
  return true;
}

std::string_view read_tlvs(std::string_view header, std::string_view tlvs, ProxyHeader& out) {
  bool checked = false;
  while (!tlvs.empty()) {
    const auto tlv = next_tlv(tlvs);
    if (!tlv) return "one of its TLVs is cut off";
    switch (static_cast<TlvType>(tlv->type)) {
      case TlvType::crc32c:
        if (std::exchange(checked, true)) return "it has two checksums";
        if (tlv->value.size() != 4) return "its checksum has not four octets";
        if (!has_checksum(header, tlv->value)) return "its checksum is wrong";
        break;
      case TlvType::ssl:
        if (!read_ssl(tlv->value, out.secure)) return "its SSL TLV is cut off";
        break;
      default: break;  // about other things
    }
  }
  return {};
}

std::string address_text(std::string_view octets) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(octets.data());
  return IpAddress::from_octets({first, octets.size()}).text();
}

/// Source address, destination address, source port, destination port.
void read_inet(std::string_view block, std::size_t address_size, ProxyHeader& out) {
  out.remote_address = address_text(block.substr(0, address_size));
  out.local_address = address_text(block.substr(address_size, address_size));
  out.remote_port = std::to_string(number_at(block, 2 * address_size));
  out.local_port = std::to_string(number_at(block, 2 * address_size + 2));
}

/// A PROXY command's family and what it says; `block` begins with the addresses.
std::string_view read_block(std::string_view header, ProxyHeader& out) {
  enum : std::uint8_t { unspecified = 0x00, tcp4 = 0x11, tcp6 = 0x21, unix_stream = 0x31 };
  auto block = header.substr(v2_fixed);
  const unsigned family = octet_at(header, 13);
  std::size_t size = 0;
  switch (family) {
    case unspecified: break;
    case tcp4: size = 12; break;
    case tcp6: size = 36; break;
    case unix_stream: size = 216; break;
    default: return "its family is not one of streams";
  }
  if (block.size() < size) return "it is too short for its addresses";
  out.source = family == unspecified ? ProxySource::unknown : ProxySource::client;
  if (family == tcp4) read_inet(block, 4, out);
  if (family == tcp6) read_inet(block, 16, out);
  return read_tlvs(header, block.substr(size), out);
}

ProxyHeaderProgress parse_v2(std::string_view input, ProxyHeader& out) {
  constexpr unsigned local = 0x20;
  constexpr unsigned proxy = 0x21;
  if (input.size() > v2_start.size()) {
    const unsigned version_and_command = octet_at(input, v2_start.size());
    if (version_and_command >> 4U != 2) return malformed("its version is not 2");
    if (version_and_command > proxy) return malformed("its command is neither LOCAL nor PROXY");
  }
  if (input.size() < v2_fixed) return {};
  const std::size_t size = v2_fixed + number_at(input, 14);
  if (input.size() < size) return {};
  if (octet_at(input, v2_start.size()) != local) {
    const auto fault = read_block(input.substr(0, size), out);
    if (!fault.empty()) return malformed(fault);
  }  // else all that follows is to be thrown away, the family included
  return {Outcome::complete, size, {}};
}

bool begins_alike(std::string_view a, std::string_view b) {
  const auto size = std::min(a.size(), b.size());
  return a.substr(0, size) == b.substr(0, size);
}

}  // namespace

ProxyHeaderProgress parse_proxy_header(std::string_view input, ProxyHeader& out) {
  out = {};
  if (begins_alike(input, v1_start)) {
    return input.size() < v1_start.size() ? ProxyHeaderProgress{} : parse_v1(input, out);
  }
  if (begins_alike(input, v2_start)) {
    return input.size() < v2_start.size() ? ProxyHeaderProgress{} : parse_v2(input, out);
  }
  return malformed("the connection does not begin with one");
}

}  // namespace prowingen
