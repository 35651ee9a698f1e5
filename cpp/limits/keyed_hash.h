// SipHash-2-4 (Aumasson and Bernstein, 2012): who does not know the key cannot choose inputs that
// come to lie in one place.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace prowingen::limits {

using HashKey = std::array<std::uint64_t, 2>;

class SipState {
 public:
  explicit SipState(const HashKey& key)
      : v0_(key[0] ^ 0x736f6d6570736575U),
        v1_(key[1] ^ 0x646f72616e646f6dU),
        v2_(key[0] ^ 0x6c7967656e657261U),
        v3_(key[1] ^ 0x7465646279746573U) {}

  /// Once.
  std::uint64_t digest(std::span<const std::uint8_t> octets) {
    const std::uint64_t length = octets.size();
    for (; octets.size() >= word; octets = octets.subspan(word)) add(read(octets.first(word)));
    add(read(octets) | length << 56U);
    v2_ ^= 0xffU;
    for (int i = 0; i < 4; ++i) round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  static constexpr std::size_t word = 8;

  // In little-endian order, whatever the machine's is.
  static std::uint64_t read(std::span<const std::uint8_t> octets) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < octets.size(); ++i) value |= std::uint64_t{octets[i]} << 8U * i;
    return value;
  }

  void add(std::uint64_t message) {
    v3_ ^= message;
    round();
    round();
    v0_ ^= message;
  }

  void round() {
    v0_ += v1_;
    v2_ += v3_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ = std::rotl(v0_, 32) + v3_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

inline std::uint64_t keyed_hash(const HashKey& key, std::span<const std::uint8_t> octets) {
  return SipState(key).digest(octets);
}

}  // namespace prowingen::limits
