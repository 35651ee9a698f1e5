// PROXY protocol headers of version 2, put together octet by octet.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxies/crc32c.h"

namespace prowingen {

using namespace std::literals;

inline constexpr auto v2_signature = "\r\n\r\n\0\r\nQUIT\n"sv;

inline std::string two_octets(std::size_t number) {
  return {static_cast<char>(number >> 8U), static_cast<char>(number & 0xFFU)};
}

inline std::string v2_header(unsigned command, unsigned family, std::string_view block) {
  std::string header(v2_signature);
  header.push_back(static_cast<char>(command));
  header.push_back(static_cast<char>(family));
  return header.append(two_octets(block.size())).append(block);
}

inline std::string tlv(unsigned type, std::string_view value) {
  std::string text(1, static_cast<char>(type));
  return text.append(two_octets(value.size())).append(value);
}

/// 192.0.2.1:1234 to 192.0.2.2:443.
inline const std::string tcp4_block{"\xC0\x00\x02\x01\xC0\x00\x02\x02\x04\xD2\x01\xBB"sv};

/// A header with a checksum TLV behind `rest`.
inline std::string with_checksum(unsigned family, std::string_view rest, unsigned off_by = 0) {
  std::string header = v2_header(0x21, family, std::string(rest) + tlv(0x03, "\0\0\0\0"sv));
  Crc32c crc;
  crc.add(header);
  const auto sum = crc.value() + off_by;
  header.resize(header.size() - 4);
  return header + two_octets(sum >> 16U) + two_octets(sum & 0xFFFFU);
}

}  // namespace prowingen
