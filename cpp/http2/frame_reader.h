// What a client sends on a connection of HTTP/2 (RFC 9113): bytes in, requests out. For an engine
// whose library writes the frames and keeps the windows, and would let too much pass on the way in.
//
//   preface --> SETTINGS --> header <--> payload of a frame
//                              |  ^
//                             DATA: padding length --> content --> padding
//
// Frames are judged by the state of their stream (section 5.1), as a table in frame_reader.cpp has
// it; a request's fields by head_reader.h; how much of what is cheap by flood_guard.h. What ends a
// stream is told as such, what ends the connection by receive(). An error of a stream that is none
// of one request, as on a priority or an idle stream, is one of the connection.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "http2/field_decoder.h"
#include "http2/flood_guard.h"
#include "http2/frame_walk.h"
#include "http2/head_reader.h"
#include "http2/past_streams.h"
#include "http2/protocol.h"

namespace prowingen::http2 {

/// What a reader tells its owner. None of these may destroy it; each may end streams.
class FrameEvents {
 public:
  /// A request begins; where its head goes. Null: one more is not served.
  virtual RequestHead* open(std::int32_t stream) = 0;
  /// `whole`: on_request_end() follows at once.
  virtual void on_request(std::int32_t stream, const HeadReader::Result& head, bool whole) = 0;
  /// `padding`: octets of the windows that are none of content.
  virtual void on_content(std::int32_t stream, std::string_view bytes, std::size_t padding) = 0;
  /// Of no stream that is open: nobody wants it, but it was in the connection's window.
  virtual void on_dropped(std::string_view bytes) = 0;
  /// A trailer section, which is well-formed; of one beyond the limits, the fields up to the one
  /// that is too much. on_request_end() follows at once.
  virtual void on_trailers(std::int32_t stream, const FieldSection& fields) = 0;
  virtual void on_request_end(std::int32_t stream) = 0;
  virtual void on_reset(std::int32_t stream, std::uint32_t code) = 0;
  /// Has to be told to the client. The stream may be one that was never told of.
  virtual void on_stream_error(std::int32_t stream, ErrorCode code, std::string_view why) = 0;
  /// `stream` 0: the connection's.
  virtual void on_window_update(std::int32_t stream, std::uint32_t size) = 0;
  /// Pairs of 16 and 32 bits, all of them permitted.
  virtual void on_settings(std::string_view pairs) = 0;
  virtual void on_settings_ack() = 0;
  virtual void on_ping(std::string_view octets, bool ack) = 0;

 protected:
  ~FrameEvents() = default;
};

/// I/O thread. Throws std::bad_alloc.
class FrameReader final : private FieldSink {
 public:
  using Time = FloodGuard::Time;

  /// `extended_connect`: as HeadReader has it.
  FrameReader(FrameEvents& events, const RequestLimits& limits, bool extended_connect = false);

  /// Takes in what has come. False: the connection is over, for `error()`.
  bool receive(std::string_view bytes, Time now);
  struct Error {
    ErrorCode code = ErrorCode::no_error;
    std::string why;
  };
  const Error& error() const { return error_; }

  /// The owner has had enough of it.
  void fail(ErrorCode code, std::string_view why);

  // ---- the other direction
  /// The answer's last frame is made.
  void end_answer(std::int32_t stream);
  /// The stream is reset, from here. What of that a client brings about counts as a flood.
  void reset(std::int32_t stream, ErrorCode code);
  /// Content is sent.
  void note_sent(std::size_t size);

  /// The stream of a header block that is not whole; 0: none.
  std::int32_t block_stream() const { return block_stream_; }
  bool is_open(std::int32_t stream) { return find(stream) != nullptr; }
  std::size_t open_streams() const { return streams_.size(); }

  // ---- memory
  /// What it keeps itself: of a frame and of a header block that are not whole.
  std::size_t held() const;
  /// The request whose header block comes is refused when that is whole, and not kept until then.
  /// False: there is none.
  bool give_up_head(const Refusal& why);
  /// Content that was told of waits at its owner's, and costs so much there.
  void note_waiting(std::int32_t stream, std::size_t cost);
  /// All of it is taken.
  void note_taken(std::int32_t stream);
  std::size_t waiting() const { return waiting_; }
  struct Waiting {
    std::size_t cost = 0;
    Time last_came;
    bool whole = false;  // nothing more comes
  };
  Waiting waiting(std::int32_t stream);

 private:
  enum class At : std::uint8_t { preface, header, payload, padding_length, content, padding };
  enum class State : std::uint8_t { idle, open, half_closed, closed, forgotten, skipped };
  enum class Block : std::uint8_t { request, trailers, ignored, refused };

  struct Stream {
    std::int32_t id = 0;
    bool request_whole = false;
    bool answer_whole = false;
    std::optional<std::uint64_t> content_left = {};  // as its head has announced
    Waiting waiting = {};
  };

  std::size_t read_preface(std::string_view bytes);
  std::size_t read_header(std::string_view bytes);
  std::size_t read_payload(std::string_view bytes);
  std::size_t read_content(std::string_view bytes);
  std::size_t read_padding_length(std::string_view bytes);
  void on_header();
  void on_payload(std::string_view payload);
  bool has_its_shape();
  bool passes_by_state();
  void note_frame(bool past);
  void begin_content();
  void check_content();
  void go_on_with_content();
  void on_headers(std::string_view payload);
  void begin_block();
  void read_block(std::string_view fragment);
  bool on_field(std::string_view name, std::string_view value) override;
  void end_block();
  void end_request_head(std::int32_t stream, bool whole);
  void end_trailers(std::int32_t stream, bool whole);
  void on_settings(std::string_view payload);
  bool permits(Setting setting, std::uint32_t value);
  void on_window_update(std::string_view payload);

  Stream* find(std::int32_t id);
  State state_of(std::int32_t id);
  void close(std::int32_t id, bool remembered);
  void end_request(Stream& stream);
  void count(Flood kind);
  bool has(std::uint8_t flag) const { return (frame_.flags & flag) != 0; }
  FrameType type() const { return static_cast<FrameType>(frame_.type); }

  FrameEvents& events_;
  const RequestLimits limits_;
  FieldDecoder decoder_;
  HeadReader reader_;
  FieldSection trailers_;   // of the block that comes, up to the field that is too much
  TrailerSection section_;  // and what is thought of them
  bool section_refused_ = false;
  FloodGuard guard_;
  Time now_;
  PastStreams past_;
  std::vector<Stream> streams_;  // that are open, by number
  std::size_t waiting_ = 0;      // of all of them

  At at_ = At::preface;
  std::size_t have_ = 0;  // of the preface
  std::string partial_;   // of a frame's header or payload: what has come in earlier calls
  FrameHeader frame_;
  std::size_t content_left_ = 0;
  std::size_t padding_left_ = 0;
  std::size_t padding_due_ = 0;  // to be told, with its length, with the next piece of content

  bool settled_ = false;  // the first SETTINGS has come
  std::int32_t block_stream_ = 0;
  Block block_ = Block::ignored;
  bool block_ends_stream_ = false;
  unsigned continuations_ = 0;
  std::size_t block_size_ = 0;  // of what is no request
  bool malformed_ = false;      // likewise

  bool over_ = false;
  Error error_;
};

}  // namespace prowingen::http2
