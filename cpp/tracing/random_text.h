// Names that nobody else has, by OpenSSL's generator, which the system seeds. Any thread. It is
// asked for thousands of bytes at once, which the thread's next hundred names are made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace prowingen::tracing {

/// So many times 64 random bits of this thread's. Throws std::system_error if there are none.
template <std::size_t count>
std::array<std::uint64_t, count> random_words();
extern template std::array<std::uint64_t, 1> random_words<1>();
extern template std::array<std::uint64_t, 2> random_words<2>();
extern template std::array<std::uint64_t, 3> random_words<3>();

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
