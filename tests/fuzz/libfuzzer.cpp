// What libFuzzer calls: PROWINGEN_FUZZ_TARGET with its inputs, and for inputs that are frames of
// HTTP/2 a mutator that knows where they begin. Most single octets of such a connection are lengths
// or compressed text, where a change by chance makes the rest of it unreadable.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "http/http2_policy.h"
#include "http2/frame_walk.h"
#include "targets.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace prowingen::fuzz {
namespace {

constexpr std::size_t header_size = http2::frame_header_size;

/// Of HTTP/2 the frames, of which the last one may not be whole.
std::vector<std::string> frames_of(std::string_view bytes) {
  std::vector<std::string> frames;
  while (!bytes.empty()) {
    std::size_t size = bytes.size();
    if (size >= header_size) {
      size = std::min(size, header_size + http2::parse_frame_header(bytes.data()).length);
    }
    frames.emplace_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return frames;
}

void set_length(std::string& frame) {
  const auto length = frame.size() - header_size;
  frame[0] = static_cast<char>(length >> 16);
  frame[1] = static_cast<char>(length >> 8);
  frame[2] = static_cast<char>(length);
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::string mutate(std::string_view bytes) {
    frames_ = frames_of(bytes);
    if (frames_.empty()) frames_.push_back(small_frame());
    for (auto times = 1 + below(3); times != 0; --times) mutate_one();
    std::string made;
    for (const auto& frame : frames_) made += frame;
    return made;
  }
  std::size_t below(std::size_t bound) { return random_() % bound; }

 private:
  void mutate_one() {
    auto at = below(frames_.size());
    if (frames_[at].size() < header_size) frames_[at] = small_frame();
    std::string& frame = frames_[at];
    const auto place = frames_.begin() + static_cast<std::ptrdiff_t>(below(frames_.size() + 1));
    switch (below(9)) {
      case 0:
      case 1: return mutate_payload(frame);
      case 2: frame[4] = static_cast<char>(frame[4] ^ 1 << below(6)); return;
      case 3: return set_stream(frame);
      case 4: frame[3] = static_cast<char>(below(18)); return;
      case 5: frames_.insert(place, std::string(frame)); return;
      case 6: frames_.insert(place, small_frame()); return;
      case 7: std::swap(frame, frames_[below(frames_.size())]); return;
      default:
        if (frames_.size() > 1) frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(at));
        return;
    }
  }

  static void mutate_payload(std::string& frame) {
    const auto size = frame.size() - header_size;
    constexpr std::size_t growth = 40;
    frame.resize(frame.size() + growth);
    auto* const payload = reinterpret_cast<std::uint8_t*>(frame.data()) + header_size;
    frame.resize(header_size + LLVMFuzzerMutate(payload, size, size + growth));
    set_length(frame);
  }

  /// Often one that exists.
  void set_stream(std::string& frame) {
    frame[5] = frame[6] = frame[7] = 0;
    frame[8] = static_cast<char>(below(below(2) == 0 ? 8 : 64));
  }

  std::string small_frame() {
    struct Small {
      std::uint8_t type;
      std::uint8_t flags;
      bool of_stream;
      std::string_view payload;
    };
    using namespace std::string_view_literals;
    static constexpr std::array<Small, 10> small{{
        {0, 0, true, ""sv},                                     // DATA
        {0, 1, true, "abc"sv},                                  // its end
        {3, 0, true, "\0\0\0\x8"sv},                            // RST_STREAM
        {4, 0, false, "\0\x4\0\0\0\0"sv},                       // SETTINGS: no window
        {4, 0, false, "\0\x4\x7F\xFF\xFF\xFF\0\x1\0\0\0\0"sv},  // the largest, and no table
        {6, 0, false, "12345678"sv},                            // PING
        {7, 0, false, "\0\0\0\0\0\0\0\0"sv},                    // GOAWAY
        {8, 0, false, "\x7F\xFF\0\0"sv},                        // WINDOW_UPDATE
        {8, 0, true, "\0\0\x10\0"sv},                           // of a stream
        {16, 0, false, "\0\0\0\x1u=1, i"sv},                    // PRIORITY_UPDATE
    }};
    const Small& one = small[below(small.size())];
    std::string frame(header_size, '\0');
    frame[3] = static_cast<char>(one.type);
    frame[4] = static_cast<char>(one.flags);
    if (one.of_stream) frame[8] = static_cast<char>(2 * below(4) + 1);
    frame += one.payload;
    set_length(frame);
    return frame;
  }

  std::minstd_rand random_;
  std::vector<std::string> frames_;
};

}  // namespace
}  // namespace prowingen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  prowingen::fuzz::PROWINGEN_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  prowingen::fuzz::Mutator mutator(seed);
  if (!bytes.starts_with(prowingen::http2_preface) || mutator.below(4) == 0) {
    return LLVMFuzzerMutate(data, size, most);
  }
  std::string made(prowingen::http2_preface);
  made += mutator.mutate(bytes.substr(made.size()));
  if (made.size() > most) made.resize(most);
  std::memcpy(data, made.data(), made.size());
  return made.size();
}
