// One connection's HTTP/2 (RFC 9113), the server's side of it, by nghttp2: bytes in, requests out;
// answers in, bytes out. It knows no socket, no clock and no exchange.
//
//   receive(bytes) --> Streams::open, on_request, on_body, on_request_end, on_closed
//   answer(), resume() --> write(text) --> Streams::offer, take
//
// nghttp2 keeps the states of the streams, the windows, the compression tables and the order in
// which streams send (RFC 9218); it answers what is malformed by RST_STREAM or GOAWAY. What a
// request means is said by http2_policy.h, how much of what is cheap for a client by flood_guard.h.
//
// Content is pulled: when a stream's turn has come and its window is open, it is asked what it has.
// So what nobody can send stays in the exchange, and its worker waits.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http2/flood_guard.h"
#include "http2/frame_walk.h"
#include "http2/head_reader.h"
#include "http2/header_field.h"
#include "http2/past_streams.h"
#include "http2/protocol.h"

namespace prowingen::http2 {

/// One request and its answer, as the session sees it. Whoever owns the session derives from it.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  std::int32_t id = 0;
  bool request_whole = false;  // its END_STREAM has come
  bool answer_begun = false;   // the head of the final answer is with nghttp2
  bool reset_here = false;     // and not by its client: frames of it may still be on their way
  std::size_t unconsumed = 0;  // octets of content that the client's window waits for

 protected:
  ~Stream() = default;
};

/// What a stream has to send.
struct Offer {
  std::size_t size = 0;
  bool end = false;                            // nothing follows
  bool failed = false;                         // it will never be whole: the stream is reset
  std::span<const HeaderField> trailers = {};  // follow the end
};

/// What a session tells its owner. None of these may destroy it.
class Streams {
 public:
  /// A request begins. Null: one more is not served (REFUSED_STREAM). Its head goes to `*head`.
  virtual Stream* open(std::int32_t id, RequestHead*& head) = 0;
  virtual void on_request(Stream& stream, const HeadReader::Result& head) = 0;
  /// `bytes` of content, or of what is padded to it, are consumed by Session::consume().
  virtual void on_body(Stream& stream, std::string_view bytes) = 0;
  /// A field of its trailer section, which may yet be malformed.
  virtual void on_trailer(Stream& stream, std::string_view name, std::string_view value) = 0;
  /// Its trailer section is refused. The stream goes on to its end.
  virtual void on_bad_trailers(Stream& stream, Verdict verdict) = 0;
  virtual void on_request_end(Stream& stream) = 0;
  /// The end of a stream, from either side: it is not known to the session any more.
  virtual void on_closed(Stream& stream, std::uint32_t error) = 0;
  /// What the stream can send of at most `most` octets; nothing and no end: it has to be resumed.
  virtual Offer offer(Stream& stream, std::size_t most) = 0;
  /// Appends `size` octets of what was offered. False: they are not there any more.
  virtual bool take(Stream& stream, std::size_t size, std::string& out) = 0;
  /// A frame with the end of the answer was made; what write() appends has it when it returns.
  /// False: the rest of its request is wanted all the same, and reset() to be called else.
  virtual bool on_answer_written(Stream& stream) = 0;
  /// Its head cannot be sent. The stream is reset.
  virtual void on_answer_failed(Stream& stream, std::string_view why) = 0;

 protected:
  ~Streams() = default;
};

/// For --version: "nghttp2 1.52.0".
std::string library_version();

/// I/O thread. Throws std::bad_alloc.
class Session {
 public:
  using Time = FloodGuard::Time;

  Session(Streams& streams, const Settings& settings);

  /// Takes in what the client has sent. False: there is nothing more to read, since what came is
  /// not HTTP/2, or was too much of it; `fault()` says what. A GOAWAY is to be written then.
  bool receive(std::string_view bytes, Time now);
  /// Appends frames to `out` until it has `most` octets, which a frame may exceed, or nothing is
  /// left to send. False: as in receive().
  bool write(std::string& out, std::size_t most);
  bool wants_write() const;
  /// A GOAWAY was written, and no stream is left that it lets go on.
  bool over() const;
  const std::string& fault() const { return fault_; }

  /// Sends the head of an answer. Its content is offered, if it has some; else the stream ends.
  void answer(Stream& stream, int status, std::span<const HeaderField> fields, bool content);
  /// An interim answer: 100 or 103.
  void inform(Stream& stream, int status, std::span<const HeaderField> fields);
  /// There is something to offer.
  void resume(Stream& stream);
  void reset(Stream& stream, ErrorCode code);
  /// So much of a stream's content was worked on: its client may send as much again.
  void consume(Stream& stream, std::size_t size);

  /// Two steps of a shutdown that loses nothing (section 6.8): it is announced; a while later,
  /// when what was on its way has come, new streams are turned down.
  void announce_end();
  void go_away();
  /// Ends it at once.
  void terminate(ErrorCode code);

  /// Whether the client's window keeps everything back, or this stream.
  bool blocked() const;
  bool blocked(const Stream& stream) const;
  unsigned open_streams() const { return open_streams_; }
  /// About how many bytes of header blocks and of content have come.
  std::uint64_t request_bytes() const { return request_bytes_; }
  /// Whether a header block is begun and not whole.
  bool in_head() const { return block_open_ || (in_block_ && walk_.in_payload()); }
  /// About what is kept of it.
  std::uint64_t held_in_head() const;

 private:
  struct Free {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };
  friend struct Callbacks;

  Stream* find(std::int32_t id) const;
  void send_trailers(Stream& stream, std::span<const HeaderField> fields);
  void send_head(Stream& stream, int status, std::span<const HeaderField> fields, bool final,
                 bool content);
  void count(Flood kind);
  void fail(std::string_view fault, ErrorCode code);
  void check_closed(std::int32_t id);
  void on_frame_begins(const FrameHeader& header);
  bool feed(std::string_view bytes);
  void on_frame(const nghttp2_frame& frame);
  void on_sent(const nghttp2_frame& frame);
  void note_reset(std::int32_t id, std::uint32_t error);
  void check_windows();
  void on_whole_head(Stream& stream, bool end);
  void on_trailer(Stream& stream, std::string_view name, std::string_view value);
  void on_whole_trailers(Stream& stream);
  void end_request(Stream& stream);

  Streams& streams_;
  const RequestLimits limits_;
  HeadReader reader_;
  TrailerSection trailers_;  // of the block that comes
  Verdict trailers_refused_ = nullptr;
  FrameWalk walk_{http2_preface.size()};
  bool in_request_frame_ = false;
  std::uint64_t request_bytes_ = 0;
  FloodGuard guard_;
  Time now_;
  std::unique_ptr<nghttp2_session, Free> session_;
  std::string* out_ = nullptr;  // while write() runs
  std::size_t most_ = 0;
  unsigned open_streams_ = 0;
  PastStreams past_;
  bool in_block_ = false;    // the last frame was one of a header block
  bool block_open_ = false;  // and not the block's last one
  unsigned continuations_ = 0;
  std::size_t queued_before_ = 0;  // frames that were to be sent when the last bytes came
  std::uint64_t block_began_ = 0;  // of request_bytes_
  bool reading_request_ =
      false;  // the block that comes is a request's, and not its trailer section
  bool calm_ = true;
  std::string fault_;
};

}  // namespace prowingen::http2
