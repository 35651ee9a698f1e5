#include "tracing/random_text.h"

#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
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

  unsigned char next() {
    const auto generation = fork_generation.load(std::memory_order_relaxed);
    if (left == 0 || drawn_in != generation) {
      if (::getentropy(bytes.data(), bytes.size()) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot make random names");
      }
      left = bytes.size();
      drawn_in = generation;
    }
    return bytes[--left];
  }
};

Bytes& of_this_thread() {
  static thread_local Bytes bytes;
  return bytes;
}

}  // namespace

std::string random_hex(std::size_t bytes) {
  Bytes& random = of_this_thread();
  std::string text;
  text.reserve(2 * bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    const unsigned byte = random.next();
    text.push_back(digits[byte >> 4]);
    text.push_back(digits[byte & 0xF]);
  }
  return text;
}

std::string make_uuid() {
  std::string text = random_hex(16);
  text[12] = '4';  // the version
  constexpr std::string_view variants = "89ab";
  text[16] = variants[digits.find(text[16]) & 3U];
  for (const std::size_t at : {20U, 16U, 12U, 8U}) text.insert(at, 1, '-');
  return text;
}

}  // namespace prowingen::tracing
