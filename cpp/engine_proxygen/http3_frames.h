// The frames of a stream of HTTP/3 by their headers alone (RFC 9114 section 7.1): what a client
// announces, before anybody keeps it.
//
//   type --> length --> payload, which is passed over --> type …
//
// Type and length are integers of QUIC (RFC 9000 section 16), whose first octet says how many they
// have. proxygen reads the frames; it waits for the whole of each one but DATA.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace prowingen::proxygen_engine {

enum class Http3Frame : std::uint8_t { data = 0, headers = 1 };

class FrameWalk {
 public:
  /// Calls `begins(type, length)` for each frame whose header is whole.
  template <typename Begins>
  void read(std::string_view bytes, Begins begins) {
    while (!bytes.empty()) {
      if (part_ == Part::payload) {
        const auto size = std::min<std::uint64_t>(left_, bytes.size());
        pass(size);
        bytes.remove_prefix(static_cast<std::size_t>(size));
        continue;
      }
      const bool whole = take(static_cast<unsigned char>(bytes.front()));
      bytes.remove_prefix(1);
      if (!whole) continue;
      if (part_ == Part::type) {
        type_ = value_;
        part_ = Part::length;
      } else {
        left_ = value_;
        part_ = Part::payload;
        begins(type_, left_);
        pass(0);
      }
    }
  }

  /// How much has come of a frame that is not whole, unless that is DATA.
  std::uint64_t unfinished() const { return is(Http3Frame::data) ? 0 : unfinished_; }

 private:
  enum class Part : std::uint8_t { type, length, payload };

  bool is(Http3Frame type) const {
    return part_ == Part::payload && type_ == static_cast<std::uint64_t>(type);
  }

  void pass(std::uint64_t size) {
    left_ -= size;
    unfinished_ += size;
    if (left_ != 0) return;
    part_ = Part::type;
    unfinished_ = 0;
  }

  // True: the integer is whole.
  bool take(unsigned char octet) {
    ++unfinished_;
    if (missing_ == 0) {
      missing_ = (1U << (octet >> 6U)) - 1;
      value_ = octet & 0x3FU;
    } else {
      --missing_;
      value_ = value_ << 8U | octet;
    }
    return missing_ == 0;
  }

  Part part_ = Part::type;
  unsigned missing_ = 0;  // octets of the integer
  std::uint64_t value_ = 0;
  std::uint64_t type_ = 0;
  std::uint64_t left_ = 0;  // of the payload
  std::uint64_t unfinished_ = 0;
};

}  // namespace prowingen::proxygen_engine
