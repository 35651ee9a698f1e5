#include "websocket/utf8.h"

#include <cstring>

namespace prowingen::websocket {
namespace {

// How many octets of ASCII there are at the front, eight at a time.
std::size_t ascii_prefix(std::string_view bytes) {
  constexpr std::uint64_t high_bits = 0x8080808080808080;
  std::size_t at = 0;
  for (std::uint64_t word = 0; at + sizeof word <= bytes.size(); at += sizeof word) {
    std::memcpy(&word, bytes.data() + at, sizeof word);
    if ((word & high_bits) != 0) break;
  }
  while (at < bytes.size() && static_cast<unsigned char>(bytes[at]) < 0x80) ++at;
  return at;
}

}  // namespace

bool Utf8Check::add(std::string_view bytes) {
  for (;;) {
    if (missing_ == 0) bytes.remove_prefix(ascii_prefix(bytes));
    if (bytes.empty()) return true;
    const auto octet = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (missing_ != 0) {
      if (octet < low_ || octet > high_) return false;
      --missing_;
      low_ = 0x80;
      high_ = 0xBF;
    } else if (octet >= 0xC2 && octet <= 0xDF) {
      missing_ = 1;
    } else if (octet >= 0xE0 && octet <= 0xEF) {
      missing_ = 2;
      if (octet == 0xE0) low_ = 0xA0;
      if (octet == 0xED) high_ = 0x9F;
    } else if (octet >= 0xF0 && octet <= 0xF4) {
      missing_ = 3;
      if (octet == 0xF0) low_ = 0x90;
      if (octet == 0xF4) high_ = 0x8F;
    } else {
      return false;
    }
  }
}

}  // namespace prowingen::websocket
