#include "tracing/random_text.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string_view>
#include <system_error>

#include "core/forks.h"

namespace prowingen::tracing {
namespace {

// What getentropy(2) gives at most.
constexpr std::size_t gathered = 256;
constexpr std::string_view digits = "0123456789abcdef";

// Of one thread. A child that it forks has a copy, whose bytes would come twice.
struct Bytes {
  std::array<unsigned char, gathered> bytes{};
  std::size_t left = 0;
  unsigned drawn_in = 0;

  std::span<const unsigned char> take(std::size_t count) {
    const auto generation = fork_generation.load(std::memory_order_relaxed);
    if (left < count || drawn_in != generation) {
      if (::getentropy(bytes.data(), bytes.size()) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot make random names");
      }
      left = bytes.size();
      drawn_in = generation;
    }
    left -= count;
    return std::span(bytes).subspan(left, count);
  }
};

Bytes& of_this_thread() {
  static thread_local Bytes bytes;
  return bytes;
}

// Returns where it has ended.
char* write_hex(std::span<const unsigned char> bytes, char* out) {
  for (const unsigned byte : bytes) {
    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 0xF];
  }
  return out;
}

}  // namespace

std::string random_hex(std::size_t bytes) {
  std::string text(2 * bytes, '0');
  write_hex(of_this_thread().take(bytes), text.data());
  return text;
}

std::string make_uuid() {
  std::array<unsigned char, 16> bytes{};
  std::ranges::copy(of_this_thread().take(bytes.size()), bytes.begin());
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0FU) | 0x40U);  // the version
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3FU) | 0x80U);  // the variant
  std::string text(36, '-');
  char* out = text.data();
  std::size_t from = 0;
  for (const std::size_t until : {4U, 6U, 8U, 10U, 16U}) {
    out = write_hex(std::span(bytes).subspan(from, until - from), out) + 1;
    from = until;
  }
  return text;
}

}  // namespace prowingen::tracing
