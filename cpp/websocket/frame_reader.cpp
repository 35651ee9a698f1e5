#include "websocket/frame_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/copying.h"

namespace prowingen::websocket {
namespace {

constexpr unsigned fin_bit = 0x80;
constexpr unsigned rsv1_bit = 0x40;
constexpr unsigned other_rsv_bits = 0x30;
constexpr unsigned opcode_bits = 0x0F;
constexpr unsigned mask_bit = 0x80;
constexpr unsigned length_bits = 0x7F;
constexpr unsigned length_is_16 = 126;
constexpr unsigned length_is_64 = 127;
constexpr std::size_t mask_size = 4;

bool is_defined(unsigned opcode) { return opcode <= 0x2 || (opcode >= 0x8 && opcode <= 0xA); }

}  // namespace

FrameReader::Step FrameReader::next(std::string_view& bytes) {
  if (state_ == State::head) return read_head(bytes);
  if (left_ == 0) {
    state_ = State::head;
    return Step::end;
  }
  if (bytes.empty()) return Step::need_more;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  payload_ = bytes.substr(0, size);
  bytes.remove_prefix(size);
  left_ -= size;
  return Step::payload;
}

void FrameReader::take_payload(std::string& out) {
  const std::size_t before = out.size();
  append_octets(out, payload_);
  unmask(std::span(out).subspan(before));
}

FrameReader::Step FrameReader::read_head(std::string_view& bytes) {
  while (have_ < 2 || have_ < head_size()) {
    if (bytes.empty()) return Step::need_more;
    octets_[have_++] = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (have_ == 2 && !parse_head()) return Step::malformed;
  }
  std::uint64_t size = octets_[1] & length_bits;
  if (size >= length_is_16) {
    const bool is_16 = size == length_is_16;
    size = 0;
    for (std::size_t at = 2; at < have_ - mask_size; ++at) size = size << 8 | octets_[at];
    // In as few octets as it takes, and with a highest bit of 0 (section 5.2).
    if (is_16 ? size < length_is_16 : size <= 0xFFFF || size >> 63 != 0) return Step::malformed;
  }
  head_.size = left_ = size;
  std::memcpy(&mask_, octets_.data() + have_ - mask_size, mask_size);
  have_ = 0;
  state_ = State::payload;
  return Step::head;
}

std::size_t FrameReader::head_size() const {
  const unsigned length = octets_[1] & length_bits;
  const std::size_t extended = length == length_is_16 ? 2 : length == length_is_64 ? 8 : 0;
  return 2 + extended + mask_size;
}

// The two octets that every frame begins with. What a client sends is masked (section 5.1).
bool FrameReader::parse_head() {
  const unsigned first = octets_[0];
  const unsigned opcode = first & opcode_bits;
  if ((first & other_rsv_bits) != 0 || !is_defined(opcode) || (octets_[1] & mask_bit) == 0) {
    return false;
  }
  head_.opcode = static_cast<Opcode>(opcode);
  head_.fin = (first & fin_bit) != 0;
  head_.compressed = (first & rsv1_bit) != 0;
  // Section 5.5: whole, and short.
  return !is_control(head_.opcode) || (head_.fin && (octets_[1] & length_bits) <= longest_control);
}

void FrameReader::unmask(std::span<char> bytes) {
  char* at = bytes.data();
  std::size_t left = bytes.size();
  const std::uint64_t wide = std::uint64_t{mask_} << 32 | mask_;
  for (std::uint64_t word = 0; left >= sizeof word; at += sizeof word, left -= sizeof word) {
    std::memcpy(&word, at, sizeof word);
    word ^= wide;
    std::memcpy(at, &word, sizeof word);
  }
  std::array<char, mask_size> mask;
  std::memcpy(mask.data(), &mask_, mask_size);
  for (std::size_t i = 0; i < left; ++i) at[i] = static_cast<char>(at[i] ^ mask[i % mask_size]);
  std::ranges::rotate(mask, mask.begin() + static_cast<std::ptrdiff_t>(left % mask_size));
  std::memcpy(&mask_, mask.data(), mask_size);
}

}  // namespace prowingen::websocket
