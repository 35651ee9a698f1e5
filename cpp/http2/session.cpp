#include "http2/session.h"

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

namespace prowingen::http2 {
namespace {

nghttp2_nv field(std::string_view name, std::string_view value) {
  // Copied by nghttp2, which does not write to them.
  const auto octets = [](std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  return {octets(name), octets(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view text(const std::uint8_t* octets, std::size_t size) {
  return {reinterpret_cast<const char*>(octets), size};
}

std::string_view text(nghttp2_rcbuf* buffer) {
  const auto octets = nghttp2_rcbuf_get_buf(buffer);
  return text(octets.base, octets.len);
}

void check(int result) {
  if (result == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
  if (result < 0 && nghttp2_is_fatal(result) != 0) {
    throw std::runtime_error(std::string("HTTP/2: ") + nghttp2_strerror(result));
  }
}

}  // namespace

/// What nghttp2 calls: each finds its session and its stream. An exception may not pass through it.
struct Callbacks {
  static Session& self(void* user) { return *static_cast<Session*>(user); }

  template <typename Action>
  static int guarded(Action action) {
    try {
      return action();
    } catch (...) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    return guarded([&] {
      Session& me = self(user);
      me.reading_request_ = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
      me.trailers_ = {};
      me.trailers_refused_ = nullptr;
      if (!me.reading_request_) return 0;
      me.past_.note_opened(frame->hd.stream_id);
      RequestHead* head = nullptr;
      Stream* stream = me.streams_.open(frame->hd.stream_id, head);
      if (stream == nullptr) {
        me.reading_request_ = false;
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
      }
      stream->id = frame->hd.stream_id;
      ++me.open_streams_;
      me.reader_.begin(*head);
      return nghttp2_session_set_stream_user_data(session, stream->id, stream);
    });
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                    nghttp2_rcbuf* value, std::uint8_t, void* user) {
    return guarded([&] {
      Session& me = self(user);
      if (!me.reading_request_) {
        Stream* stream = me.find(frame->hd.stream_id);
        if (stream != nullptr) me.on_trailer(*stream, text(name), text(value));
        return 0;
      }
      if (me.reader_.add(text(name), text(value))) return 0;
      me.fail("a header section that is many times larger than the limit",
              ErrorCode::enhance_your_calm);
      return 0;
    });
  }

  // Section 8.2.1: a field with a malformed value makes the request malformed. nghttp2 would leave
  // the field out.
  static int invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*,
                            std::uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return guarded([&] {
      self(user).on_frame(*frame);
      return 0;
    });
  }

  static int data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                  const std::uint8_t* octets, std::size_t size, void* user) {
    return guarded([&] {
      Session& me = self(user);
      // A stream that waits for its reader holds up no other: the connection's window is open.
      check(nghttp2_session_consume_connection(session, size));
      Stream* stream = me.find(id);
      // Of one that was reset here nothing more is told, though it goes on until that is sent.
      if (stream == nullptr || stream->reset_here) {
        return nghttp2_session_consume_stream(session, id, size);
      }
      stream->unconsumed += size;
      me.guard_.earn(Flood::control, 1);
      me.streams_.on_body(*stream, text(octets, size));
      return 0;
    });
  }

  static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return guarded([&] {
      self(user).on_sent(*frame);
      return 0;
    });
  }

  // Of a head that is too large to be sent, for one.
  static int not_sent(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    return guarded([&] {
      // Its client has ended the stream, or made this side end the connection.
      if (error == NGHTTP2_ERR_SESSION_CLOSING || error == NGHTTP2_ERR_STREAM_CLOSING ||
          error == NGHTTP2_ERR_STREAM_CLOSED) {
        return 0;
      }
      Session& me = self(user);
      Stream* stream = me.find(frame->hd.stream_id);
      if (frame->hd.type != NGHTTP2_HEADERS || stream == nullptr) return 0;
      me.streams_.on_answer_failed(*stream, nghttp2_strerror(error));
      me.reset(*stream, ErrorCode::internal_error);
      return 0;
    });
  }

  static int closed(nghttp2_session* session, std::int32_t id, std::uint32_t error, void* user) {
    return guarded([&] {
      Session& me = self(user);
      Stream* stream = me.find(id);
      if (stream == nullptr) return 0;
      --me.open_streams_;
      if (id == me.past_.last()) me.reading_request_ = false;
      // nghttp2 keeps some that are closed, for their place among the others.
      nghttp2_session_set_stream_user_data(session, id, nullptr);
      if (!stream->reset_here) me.past_.note_closed(id);
      me.streams_.on_closed(*stream, error);
      return 0;
    });
  }

  static ssize_t offer(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t most,
                       std::uint32_t* flags, nghttp2_data_source* source, void* user) {
    try {
      Stream& stream = *static_cast<Stream*>(source->ptr);
      const Offer offer = self(user).streams_.offer(stream, most);
      if (offer.failed) {
        stream.reset_here = true;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
      }
      if (offer.size == 0 && !offer.end) return NGHTTP2_ERR_DEFERRED;
      *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
      if (offer.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (offer.end && !offer.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        self(user).send_trailers(stream, offer.trailers);
      }
      return static_cast<ssize_t>(offer.size);
    } catch (...) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static int take(nghttp2_session*, nghttp2_frame*, const std::uint8_t* header, std::size_t size,
                  nghttp2_data_source* source, void* user) {
    return guarded([&]() -> int {
      Session& me = self(user);
      if (me.out_->size() >= me.most_) return NGHTTP2_ERR_WOULDBLOCK;
      const auto before = me.out_->size();
      me.out_->append(text(header, frame_header_size));
      Stream& stream = *static_cast<Stream*>(source->ptr);
      if (size == 0 || me.streams_.take(stream, size, *me.out_)) return 0;
      me.out_->resize(before);
      stream.reset_here = true;
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    });
  }
};

namespace {

using CallbackTable =
    std::unique_ptr<nghttp2_session_callbacks,
                    decltype([](auto* table) { nghttp2_session_callbacks_del(table); })>;
using OptionTable =
    std::unique_ptr<nghttp2_option, decltype([](auto* table) { nghttp2_option_del(table); })>;

const nghttp2_session_callbacks& callbacks() {
  static const CallbackTable table = [] {
    nghttp2_session_callbacks* made = nullptr;
    check(nghttp2_session_callbacks_new(&made));
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, Callbacks::begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(made, Callbacks::header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(made, Callbacks::invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, Callbacks::frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, Callbacks::data);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, Callbacks::frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, Callbacks::not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, Callbacks::closed);
    nghttp2_session_callbacks_set_send_data_callback(made, Callbacks::take);
    return CallbackTable(made);
  }();
  return *table;
}

const nghttp2_option& library_options() {
  static const OptionTable table = [] {
    nghttp2_option* made = nullptr;
    check(nghttp2_option_new(&made));
    // Windows open when a worker has read, and not when bytes have come.
    nghttp2_option_set_no_auto_window_update(made, 1);
    // A client is believed by the scheme that it speaks: RFC 9218 if it has announced that it says
    // nothing by the one of RFC 7540.
    nghttp2_option_set_server_fallback_rfc7540_priorities(made, 1);
    nghttp2_option_set_builtin_recv_extension_type(made, NGHTTP2_PRIORITY_UPDATE);
    // What an application answers is its own affair, as on HTTP/1.
    nghttp2_option_set_max_send_header_block_length(made, std::size_t{16} << 20);
    // Resets are counted here, where it is known which of them are the client's doing.
    nghttp2_option_set_stream_reset_rate_limit(made, 1'000'000'000, 1'000'000'000);
    return OptionTable(made);
  }();
  return *table;
}

}  // namespace

std::string library_version() { return std::string("nghttp2 ") + nghttp2_version(0)->version_str; }

Session::Session(Streams& streams, const Settings& settings)
    : streams_(streams),
      limits_(settings.limits),
      reader_(settings.limits, settings.extended_connect) {
  nghttp2_session* made = nullptr;
  check(nghttp2_session_server_new2(&made, &callbacks(), this, &library_options()));
  session_.reset(made);
  const std::array<nghttp2_settings_entry, 5> entries{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<std::uint32_t>(settings.limits.max_header_bytes)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, settings.extended_connect ? 1U : 0U},
  }};
  check(nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, entries.data(), entries.size()));
  check(nghttp2_session_set_local_window_size(
      made, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(settings.connection_window)));
}

Stream* Session::find(std::int32_t id) const {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
}

bool Session::receive(std::string_view bytes, Time now) {
  now_ = now;
  while (calm_ && !bytes.empty()) {
    FrameHeader header;
    bool found = false;
    const bool of_request = in_request_frame_ && walk_.in_payload();
    const auto kept = walk_.kept();
    const auto size = walk_.step(bytes, header, found);
    if (of_request) request_bytes_ += size;
    // What was before it first: a stream may be closed by that. Headers in one piece: nghttp2
    // counts a CONTINUATION for each part of one.
    auto piece = bytes.substr(0, size);
    if (!found) piece.remove_suffix(walk_.kept() - kept);
    if (found && kept != 0) piece = walk_.head();
    if (!piece.empty() && !feed(piece)) return false;
    if (found) on_frame_begins(header);
    bytes.remove_prefix(size);
  }
  return calm_ && nghttp2_session_want_read(session_.get()) != 0;
}

bool Session::feed(std::string_view bytes) {
  queued_before_ = nghttp2_session_get_outbound_queue_size(session_.get());
  const auto taken = nghttp2_session_mem_recv(
      session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (taken >= 0) return true;
  // An exception must not pass through nghttp2: it was one for want of memory.
  if (taken == NGHTTP2_ERR_NOMEM || taken == NGHTTP2_ERR_CALLBACK_FAILURE) throw std::bad_alloc();
  if (taken == NGHTTP2_ERR_FLOODED) {
    fail("it sends what has to be answered and does not read the answers",
         ErrorCode::enhance_your_calm);
  } else if (block_open_ && continuations_ >= most_continuations) {
    fail("too many CONTINUATION frames", ErrorCode::enhance_your_calm);
  } else {
    fail(nghttp2_strerror(static_cast<int>(taken)), ErrorCode::protocol_error);
  }
  return false;
}

bool Session::write(std::string& out, std::size_t most) {
  out_ = &out;
  most_ = most;
  while (out.size() < most) {
    const std::uint8_t* octets = nullptr;
    const auto size = nghttp2_session_mem_send(session_.get(), &octets);
    if (size == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
    if (size < 0) {
      if (fault_.empty()) fault_ = nghttp2_strerror(static_cast<int>(size));
      out_ = nullptr;
      return false;
    }
    if (size == 0) break;
    out.append(text(octets, static_cast<std::size_t>(size)));
  }
  out_ = nullptr;
  return true;
}

bool Session::wants_write() const { return nghttp2_session_want_write(session_.get()) != 0; }

bool Session::over() const {
  return nghttp2_session_want_read(session_.get()) == 0 && !wants_write();
}

std::uint64_t Session::held_in_head() const {
  if (!in_head()) return 0;
  const std::uint64_t decoded = reading_request_ ? reader_.held() : 0;
  return std::max(decoded, request_bytes_ - block_began_);
}

bool Session::blocked() const {
  return nghttp2_session_get_remote_window_size(session_.get()) <= 0;
}

bool Session::blocked(const Stream& stream) const {
  return nghttp2_session_get_stream_remote_window_size(session_.get(), stream.id) <= 0;
}

// ---------------------------------------------------------------------------- what comes

void Session::count(Flood kind) {
  if (guard_.note(kind, now_)) return;
  fail(std::string("too many ") + std::string(flood_limits[static_cast<std::size_t>(kind)].name),
       ErrorCode::enhance_your_calm);
}

void Session::fail(std::string_view fault, ErrorCode code) {
  if (!std::exchange(calm_, false)) return;
  fault_ = fault;
  terminate(code);
}

// Section 5.1: nghttp2 ignores what comes on a closed stream, which is right for some of them.
void Session::check_closed(std::int32_t id) {
  if (id <= 0 || find(id) != nullptr) return;
  const auto state = past_.state_of(id);
  if (state == PastStreams::State::idle) return;
  count(Flood::control);
  if (state == PastStreams::State::skipped) {
    fail("a stream is opened with a lower number than another", ErrorCode::protocol_error);
  } else if (state == PastStreams::State::closed) {
    fail("a closed stream goes on", ErrorCode::stream_closed);
  }
}

void Session::on_frame_begins(const FrameHeader& header) {
  in_block_ = header.type == NGHTTP2_HEADERS || header.type == NGHTTP2_CONTINUATION;
  in_request_frame_ = in_block_ || header.type == NGHTTP2_DATA;
  if (in_block_) block_open_ = (header.flags & NGHTTP2_FLAG_END_HEADERS) == 0;
  switch (header.type) {
    case NGHTTP2_DATA: return check_closed(header.stream);
    case NGHTTP2_HEADERS:
      check_closed(header.stream);
      continuations_ = 0;
      block_began_ = request_bytes_;
      [[fallthrough]];
    case NGHTTP2_CONTINUATION:
      if (header.type == NGHTTP2_CONTINUATION) ++continuations_;
      if (header.length == 0 && block_open_) count(Flood::empty);
      return;
    case NGHTTP2_RST_STREAM:
      return count(find(header.stream) != nullptr ? Flood::resets : Flood::control);
    case NGHTTP2_WINDOW_UPDATE: return count(Flood::windows);
    default: return count(Flood::control);
  }
}

void Session::on_frame(const nghttp2_frame& frame) {
  Stream* stream = find(frame.hd.stream_id);
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      if (stream == nullptr) return;
      if (std::exchange(reading_request_, false)) return on_whole_head(*stream, end);
      if (end) on_whole_trailers(*stream);
      return;
    case NGHTTP2_DATA:
      if (stream == nullptr) return;
      // What padding took of the window is given back by nghttp2.
      if (end) return end_request(*stream);
      if (frame.hd.length == frame.data.padlen) count(Flood::empty);
      return;
    case NGHTTP2_SETTINGS:
      if (frame.settings.niv != 0) check_windows();
      return;
    default: return;
  }
}

// Section 6.9.2: a window that SETTINGS make too large is an error of the connection. nghttp2
// resets its stream: more than the acknowledgement is queued then. The end of a frame's payload is
// the first thing that is fed, so nothing else has queued anything.
void Session::check_windows() {
  const auto queued = nghttp2_session_get_outbound_queue_size(session_.get());
  if (queued <= queued_before_ + 1) return;
  fail("SETTINGS open a window too far", ErrorCode::flow_control_error);
}

void Session::on_whole_head(Stream& stream, bool end) {
  guard_.earn(Flood::control, 1);
  const auto head = reader_.finish();
  stream.request_whole = end;
  if (stream.reset_here) return;
  if (head.outcome == HeadReader::Outcome::malformed) {
    count(Flood::resets);
    return reset(stream, ErrorCode::protocol_error);
  }
  streams_.on_request(stream, head);
}

void Session::on_trailer(Stream& stream, std::string_view name, std::string_view value) {
  const Verdict verdict = trailers_.add(name, value, false, limits_);
  if (trailers_.size() > patience * (limits_.max_header_bytes + limits_.max_trailer_bytes)) {
    return fail("a trailer section that is many times larger than the limit",
                ErrorCode::enhance_your_calm);
  }
  if (trailers_refused_ == nullptr) trailers_refused_ = verdict;
  const bool kept = trailers_refused_ == nullptr && trailer_fit(name) == TrailerFit::fits;
  if (kept && !stream.reset_here) streams_.on_trailer(stream, name, value);
}

void Session::on_whole_trailers(Stream& stream) {
  if (trailers_refused_ != nullptr && !stream.reset_here) {
    streams_.on_bad_trailers(stream, trailers_refused_);
  }
  end_request(stream);
}

void Session::end_request(Stream& stream) {
  stream.request_whole = true;
  if (!stream.reset_here) streams_.on_request_end(stream);
}

// A client that makes the server reset its streams gets on as one that does it itself. What the
// owner of this has reset is not its doing.
void Session::note_reset(std::int32_t id, std::uint32_t error) {
  Stream* stream = find(id);
  const bool ours = stream != nullptr && std::exchange(stream->reset_here, true);
  if (!ours && error != NGHTTP2_NO_ERROR && error != NGHTTP2_REFUSED_STREAM) count(Flood::resets);
}

void Session::on_sent(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_DATA: {
      // Updates of the stream's window and of the connection's, for each part of it.
      const auto parts = 1 + static_cast<double>(frame.hd.length) / 1024;
      guard_.earn(Flood::windows, 2 * parts);
      guard_.earn(Flood::control, 1);
      break;
    }
    case NGHTTP2_HEADERS: break;
    case NGHTTP2_RST_STREAM: return note_reset(frame.hd.stream_id, frame.rst_stream.error_code);
    default: return;
  }
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
  Stream* stream = find(frame.hd.stream_id);
  if (stream == nullptr) return;
  const bool is_over = streams_.on_answer_written(*stream);
  // A client that goes on with its request is asked to stop (section 8.1).
  if (is_over && !stream->request_whole) reset(*stream, ErrorCode::no_error);
}

// ---------------------------------------------------------------------------- what goes

void Session::send_head(Stream& stream, int status, std::span<const HeaderField> fields, bool final,
                        bool content) {
  const std::string code = std::to_string(status);
  std::vector<nghttp2_nv> block;
  block.reserve(fields.size() + 1);
  block.push_back(field(":status", code));
  for (const HeaderField& one : fields) block.push_back(field(one.name, one.value));
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Callbacks::offer;
  if (!final) {
    check(nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, stream.id, nullptr,
                                 block.data(), block.size(), nullptr));
    return;
  }
  stream.answer_begun = true;
  check(nghttp2_submit_response(session_.get(), stream.id, block.data(), block.size(),
                                content ? &provider : nullptr));
}

void Session::send_trailers(Stream& stream, std::span<const HeaderField> fields) {
  std::vector<nghttp2_nv> block;
  block.reserve(fields.size());
  for (const HeaderField& one : fields) block.push_back(field(one.name, one.value));
  check(nghttp2_submit_trailer(session_.get(), stream.id, block.data(), block.size()));
}

void Session::answer(Stream& stream, int status, std::span<const HeaderField> fields,
                     bool content) {
  send_head(stream, status, fields, true, content);
}

void Session::inform(Stream& stream, int status, std::span<const HeaderField> fields) {
  send_head(stream, status, fields, false, false);
}

void Session::resume(Stream& stream) {
  check(
      nghttp2_session_resume_data(session_.get(), stream.id));  // one that waits for nothing: fine
}

void Session::reset(Stream& stream, ErrorCode code) {
  stream.reset_here = true;
  check(nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id,
                                  static_cast<std::uint32_t>(code)));
}

void Session::consume(Stream& stream, std::size_t size) {
  stream.unconsumed -= size;
  check(nghttp2_session_consume_stream(session_.get(), stream.id, size));
}

void Session::announce_end() { check(nghttp2_submit_shutdown_notice(session_.get())); }

void Session::go_away() {
  check(nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(session_.get()),
                              NGHTTP2_NO_ERROR, nullptr, 0));
}

void Session::terminate(ErrorCode code) {
  check(nghttp2_session_terminate_session(session_.get(), static_cast<std::uint32_t>(code)));
}

}  // namespace prowingen::http2
