#include <cstdint>

#include "targets.h"

namespace prowingen::fuzz {

// FNV-1a.
std::size_t place_to_cut(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037U;
  for (const char octet : bytes) {
    hash = (hash ^ static_cast<unsigned char>(octet)) * 1099511628211U;
  }
  return static_cast<std::size_t>((hash ^ hash >> 32) % (bytes.size() + 1));
}

}  // namespace prowingen::fuzz
