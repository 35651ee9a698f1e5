// CRC-32C (Castagnoli: RFC 3720 appendix B.4), which a PROXY protocol header may carry.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace prowingen {

namespace detail {

constexpr std::array<std::uint32_t, 256> make_crc32c_table() {
  constexpr std::uint32_t reflected_polynomial = 0x82F63B78;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) {
      table[i] = table[i] >> 1U ^ ((table[i] & 1U) != 0 ? reflected_polynomial : 0);
    }
  }
  return table;
}

inline constexpr auto crc32c_table = make_crc32c_table();

}  // namespace detail

class Crc32c {
 public:
  constexpr void add(std::string_view bytes) {
    for (const char c : bytes) {
      state_ =
          detail::crc32c_table[(state_ ^ static_cast<unsigned char>(c)) & 0xFFU] ^ state_ >> 8U;
    }
  }
  constexpr std::uint32_t value() const { return ~state_; }

 private:
  std::uint32_t state_ = 0xFFFFFFFF;
};

}  // namespace prowingen
