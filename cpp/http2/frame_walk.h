// Where frames begin in the bytes of a connection (RFC 9113 section 4.1), however they come apart.
//
// nghttp2 tells of no frame that it ignores, such as content for a stream that is closed; a client
// could send those for ever, and strict ones are errors.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace prowingen::http2 {

struct FrameHeader {
  std::uint32_t length = 0;
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::int32_t stream = 0;
};

inline constexpr std::size_t frame_header_size = 9;

inline FrameHeader parse_frame_header(const char* octets) {
  const auto octet = [octets](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(octets[i]));
  };
  FrameHeader header;
  header.length = octet(0) << 16 | octet(1) << 8 | octet(2);
  header.type = static_cast<std::uint8_t>(octet(3));
  header.flags = static_cast<std::uint8_t>(octet(4));
  header.stream = static_cast<std::int32_t>((octet(5) & 0x7F) << 24 | octet(6) << 16 |
                                            octet(7) << 8 | octet(8));
  return header;
}

class FrameWalk {
 public:
  /// `skip`: bytes before the first frame.
  explicit FrameWalk(std::size_t skip) : left_(skip) {}

  /// Whether the last frame whose header was found is not whole.
  bool in_payload() const { return left_ != 0; }
  /// How much there is of a header that is not whole, and the last one that is.
  std::size_t kept() const { return have_; }
  std::string_view head() const { return {head_.data(), head_.size()}; }
  /// Takes bytes up to the end of the next frame header, or all there are. `found`: it is whole.
  std::size_t step(std::string_view bytes, FrameHeader& header, bool& found) {
    const std::size_t payload = std::min<std::size_t>(left_, bytes.size());
    left_ -= payload;
    bytes.remove_prefix(payload);
    const std::size_t part = std::min(bytes.size(), frame_header_size - have_);
    std::copy_n(bytes.data(), part, head_.data() + have_);
    have_ += part;
    found = have_ == frame_header_size;
    if (!found) return payload + part;
    header = parse_frame_header(head_.data());
    left_ = header.length;
    have_ = 0;
    return payload + part;
  }

 private:
  std::size_t left_;  // of what is no header
  std::array<char, frame_header_size> head_{};
  std::size_t have_ = 0;
};

}  // namespace prowingen::http2
