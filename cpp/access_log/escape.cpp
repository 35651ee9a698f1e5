#include "access_log/escape.h"

#include <cstdint>
#include <cstring>
#include <utility>

namespace prowingen {
namespace {

/// The next unsafe byte of `text` from `from` on, or its end. Eight bytes at a time, as this scan
/// was half of a line's cost byte by byte.
std::size_t find_unsafe(std::string_view text, std::size_t from, unsigned char lowest) {
  constexpr std::uint64_t ones = 0x0101010101010101;
  constexpr std::uint64_t tops = ones * 0x80;
  const auto has = [](std::uint64_t word, unsigned char byte) {
    return ((word ^ ones * byte) - ones) & ~(word ^ ones * byte);
  };
  for (; from + 8 <= text.size(); from += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + from, 8);
    const std::uint64_t below = (word - ones * lowest) & ~word;
    if (((below | word | has(word, '"') | has(word, '\\') | has(word, 0x7F)) & tops) != 0) break;
  }
  for (; from < text.size(); ++from) {
    const auto c = static_cast<unsigned char>(text[from]);
    if (c < lowest || c >= 0x7F || c == '"' || c == '\\') break;
  }
  return from;
}

constexpr std::string_view hex_digits = "0123456789abcdef";

void append_hex(std::uint32_t value, int digits, std::string& out) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += hex_digits[value >> shift & 0xF];
}

/// A code point and the bytes it takes; U+FFFD and one byte where they are not UTF-8
/// (RFC 3629 section 4: no overlong forms, no surrogates, nothing above U+10FFFF).
std::pair<char32_t, std::size_t> decode_utf8(std::string_view text) {
  constexpr std::pair<char32_t, std::size_t> invalid{0xFFFD, 1};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return invalid;
  char32_t code = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return invalid;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < smallest[size] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return invalid;
  return {code, size};
}

}  // namespace

void append_escaped(std::string_view text, unsigned char lowest, std::string& out) {
  for (std::size_t at = 0;;) {
    const std::size_t next = find_unsafe(text, at, lowest);
    out.append(text, at, next - at);
    if (next == text.size()) return;
    out += "\\x";
    append_hex(static_cast<unsigned char>(text[next]), 2, out);
    at = next + 1;
  }
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (std::size_t at = 0;;) {
    const std::size_t next = find_unsafe(text, at, above_controls);
    out.append(text, at, next - at);
    if (next == text.size()) break;
    const auto [code, size] = decode_utf8(text.substr(next));
    if (code == '"' || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code >= 0x10000) {
      out += "\\u";
      append_hex(0xD800 + ((code - 0x10000) >> 10), 4, out);
      out += "\\u";
      append_hex(0xDC00 + ((code - 0x10000) & 0x3FF), 4, out);
    } else {
      out += "\\u";
      append_hex(code, 4, out);
    }
    at = next + size;
  }
  out += '"';
}

}  // namespace prowingen
