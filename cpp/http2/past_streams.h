// Which streams a client has opened, of those that are open no more (RFC 9113 section 5.1).
//
// Their numbers only grow, so the last one tells the idle ones from the others. Of those that came
// to their end, or that the client has reset, the last few are remembered: it knows, and frames on
// them are errors. On all others they are ignored, as one that was reset here may be news to it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace prowingen::http2 {

class PastStreams {
 public:
  enum class State : std::uint8_t { idle, skipped, closed, forgotten };

  void note_opened(std::int32_t id) {
    if (id > last_ + 2) {
      skipped_from_ = last_ + 1;
      skipped_to_ = id - 1;
    }
    last_ = id;
  }
  /// One that was not reset here.
  void note_closed(std::int32_t id) { closed_[next_++ % closed_.size()] = id; }

  std::int32_t last() const { return last_; }
  /// Of a stream that is not open.
  State state_of(std::int32_t id) const {
    if (id > last_) return State::idle;
    if (id >= skipped_from_ && id <= skipped_to_) return State::skipped;
    return std::ranges::find(closed_, id) != closed_.end() ? State::closed : State::forgotten;
  }

 private:
  std::int32_t last_ = 0;
  std::int32_t skipped_from_ = 0;  // numbers that the last one opened has passed over
  std::int32_t skipped_to_ = 0;
  std::array<std::int32_t, 64> closed_{};
  std::size_t next_ = 0;
};

}  // namespace prowingen::http2
