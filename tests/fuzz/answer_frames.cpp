#include "answer_frames.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "http/http2_policy.h"
#include "http/octets.h"
#include "http2/field_decoder.h"
#include "http2/frame_walk.h"
#include "http2/protocol.h"
#include "targets.h"

namespace prowingen::fuzz {
namespace {

using http2::ErrorCode;
using http2::FrameHeader;
using http2::FrameType;
namespace flag = http2::flag;

std::uint32_t number(std::string_view octets) {
  std::uint32_t value = 0;
  for (const char c : octets.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

/// Calls `each(header, payload)` for the frames that are whole; what is left of the bytes.
template <typename Each>
std::string_view walk(std::string_view bytes, Each each) {
  while (bytes.size() >= http2::frame_header_size) {
    const FrameHeader header = http2::parse_frame_header(bytes.data());
    if (bytes.size() - http2::frame_header_size < header.length) break;
    each(header, bytes.substr(http2::frame_header_size, header.length));
    bytes.remove_prefix(http2::frame_header_size + header.length);
  }
  return bytes;
}

class Answers final : private http2::FieldSink {
 public:
  void on_frame(const FrameHeader& header, std::string_view payload) {
    must(header.length <= http2::max_frame_size, "a frame is larger than every client takes");
    const auto type = static_cast<FrameType>(header.type);
    must(settled_ || type == FrameType::settings, "the first frame is not SETTINGS");
    settled_ = true;
    must((block_ != 0) == (type == FrameType::continuation) &&
             (block_ == 0 || block_ == header.stream),
         "a header block is not in one piece");
    switch (type) {
      case FrameType::settings:
      case FrameType::ping: return must(header.stream == 0, "a frame is on the wrong stream");
      case FrameType::goaway: return on_goaway(payload);
      case FrameType::window_update:
        return must(payload.size() == 4 && number(payload) != 0, "a window is opened by nothing");
      case FrameType::headers: return on_headers(header, payload);
      case FrameType::continuation: return on_block(header, payload);
      case FrameType::data: return on_content(header, payload.size());
      case FrameType::rst_stream:
        must(payload.size() == 4, "a reset is of the wrong size");
        stream(header.stream).over = true;
        return;
      default: throw Fault("a frame that a server does not send");
    }
  }
  std::uint64_t content() const { return content_; }

 private:
  struct Stream {
    bool over = false;
    bool answered = false;  // by a final head
    std::string length;
    std::uint64_t content = 0;
  };

  Stream& stream(std::int32_t id) {
    must(id % 2 == 1, "a frame is on a stream that no client opens");
    return streams_[id];
  }

  void on_goaway(std::string_view payload) {
    must(payload.size() >= 8, "a GOAWAY is too short");
    const auto last = number(payload);
    must(last <= last_served_, "a GOAWAY takes more streams than the one before");
    last_served_ = last;
    must(number(payload.substr(4)) != static_cast<std::uint32_t>(ErrorCode::internal_error),
         "the connection ends in an error of the server's own");
  }

  void on_headers(const FrameHeader& header, std::string_view payload) {
    must((header.flags & (flag::padded | flag::priority)) == 0, "padding or a priority");
    must(!stream(header.stream).over, "a head comes after the end of its stream");
    status_.clear();
    fields_ = 0;
    ends_ = (header.flags & flag::end_stream) != 0;
    block_ = header.stream;
    on_block(header, payload);
  }

  void on_block(const FrameHeader& header, std::string_view payload) {
    const bool last = (header.flags & flag::end_headers) != 0;
    must(decoder_.decode(payload, last, *this) == http2::FieldDecoder::Outcome::decoded,
         "a header block that cannot be decompressed");
    if (!last) return;
    Stream& answer = stream(std::exchange(block_, 0));
    const bool interim = status_.starts_with('1');
    must(status_.empty() == answer.answered, "a head without a status, or trailers with one");
    must(!status_.empty() || ends_, "a trailer section that ends no stream");
    must(!interim || !ends_, "an interim answer ends its stream");
    answer.answered |= !status_.empty() && !interim;
    if (ends_) end(answer);
  }

  bool on_field(std::string_view name, std::string_view value) override {
    if (fields_++ == 0 && name == ":status") {
      must(value.size() == 3 && all_are(value, Octet::digit), "a status that is none");
      status_ = value;
      return true;
    }
    must(is_token(name) && std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; }),
         "a field name that HTTP/2 does not have");
    must(is_field_value(value), "a field value that HTTP/2 does not have");
    if (name == "content-length" && status_ >= "2") stream(block_).length = value;
    return true;
  }

  void on_content(const FrameHeader& header, std::size_t size) {
    Stream& answer = stream(header.stream);
    must(!answer.over, "content comes after the end of its stream");
    must(answer.answered, "content comes before its head");
    content_ += size;
    answer.content += size;
    if ((header.flags & flag::end_stream) != 0) end(answer);
  }

  static void end(Stream& answer) {
    answer.over = true;
    // An answer to HEAD has a length, and no content.
    const bool whole = answer.length.empty() || answer.content == 0 ||
                       answer.length == std::to_string(answer.content);
    must(whole, "an answer is not as long as its head has said");
  }

  http2::FieldDecoder decoder_;
  std::map<std::int32_t, Stream> streams_;
  bool settled_ = false;
  std::int32_t block_ = 0;
  bool ends_ = false;
  std::string status_;
  std::size_t fields_ = 0;
  std::uint32_t last_served_ = http2::max_window;
  std::uint64_t content_ = 0;
};

/// At least as much as the client lets come on all streams together.
std::uint64_t window_of(std::string_view received) {
  std::uint64_t window = 65'535;
  walk(received.substr(http2_preface.size()), [&](const FrameHeader& header,
                                                  std::string_view payload) {
    if (header.type == static_cast<std::uint8_t>(FrameType::window_update) && header.stream == 0) {
      window += number(payload) & http2::max_window;
    }
  });
  return window;
}

}  // namespace

void check_answer_frames(std::string_view sent, std::string_view received) {
  Answers answers;
  const auto rest = walk(sent, [&](const FrameHeader& header, std::string_view payload) {
    answers.on_frame(header, payload);
  });
  must(rest.empty(), "a frame is not whole");
  must(answers.content() <= window_of(received), "more content comes than the client lets");
}

}  // namespace prowingen::fuzz
