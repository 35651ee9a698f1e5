// Whether text that comes in pieces is UTF-8 (RFC 3629), told at the first octet that cannot be.
#pragma once

#include <cstdint>
#include <string_view>

namespace prowingen::websocket {

class Utf8Check {
 public:
  /// False: what has come so far is the beginning of no UTF-8.
  bool add(std::string_view bytes);
  /// No character is in the middle.
  bool at_boundary() const { return missing_ == 0; }
  void reset() { missing_ = 0; }

 private:
  std::uint8_t missing_ = 0;  // continuation octets of the character under way
  // Where the next of them may lie: the first one's range says no to what is too long a form, a
  // surrogate or beyond U+10FFFF.
  std::uint8_t low_ = 0x80;
  std::uint8_t high_ = 0xBF;
};

/// Whether it is all of a text.
inline bool is_utf8(std::string_view text) {
  Utf8Check check;
  return check.add(text) && check.at_boundary();
}

}  // namespace prowingen::websocket
