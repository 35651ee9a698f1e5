// Names that nobody else has, by OpenSSL's generator, which the system seeds. Any thread. It is
// asked for thousands of bytes at once, which the thread's next hundred names are made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace prowingen::tracing {

/// 64 random bits of this thread's. Throws std::system_error if there are none.
std::uint64_t random_word();

/// Writes a word as sixteen hexadecimal digits, each for four of its bits, the lowest first: what
/// is random has no order. Returns where it has ended.
char* write_hex(std::uint64_t word, char* out);

/// A UUID of version 4 (RFC 9562 section 5.4). Throws likewise.
std::array<char, 36> make_uuid();

template <std::size_t size>
std::string_view view_of(const std::array<char, size>& text) {
  return {text.data(), text.size()};
}

}  // namespace prowingen::tracing
