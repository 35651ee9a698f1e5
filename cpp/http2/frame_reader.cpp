#include "http2/frame_reader.h"

#include <algorithm>
#include <utility>

#include "http/http2_policy.h"

namespace prowingen::http2 {
namespace {

constexpr std::size_t priority_size = 5;
constexpr std::size_t setting_size = 6;

std::uint32_t number(std::string_view octets, std::size_t size) {
  std::uint32_t value = 0;
  for (const char c : octets.substr(0, size)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::int32_t stream_number(std::string_view octets) {
  return static_cast<std::int32_t>(number(octets, 4) & max_window);
}

// ---- which frame may come on which stream

enum class Answer : std::uint8_t { take, ignore, misplaced, too_late };

constexpr std::size_t states = 6;
struct Row {
  FrameType type;
  std::array<Answer, states> answers;
};

using enum Answer;
// Section 5.1. HEADERS open a stream that is idle, and are a trailer section on one that is open.
// half_closed: the request has come to its end, its answer has not. For the last three see
// past_streams.h.
constexpr std::array<Row, 4> rows{{
    //                             idle       open  half_closed  closed    forgotten  skipped
    {FrameType::data, {misplaced, take, too_late, too_late, ignore, misplaced}},
    {FrameType::headers, {take, take, too_late, too_late, ignore, misplaced}},
    {FrameType::rst_stream, {misplaced, take, take, ignore, ignore, misplaced}},
    {FrameType::window_update, {misplaced, take, take, ignore, ignore, misplaced}},
}};

// ---- what a frame's header alone tells

enum class Belongs : std::uint8_t { to_stream, to_connection, to_either };
struct Shape {
  FrameType type;
  Belongs belongs;
  std::optional<std::size_t> size;
};

constexpr std::array<Shape, 9> shapes{{
    {FrameType::data, Belongs::to_stream, {}},
    {FrameType::headers, Belongs::to_stream, {}},
    {FrameType::priority, Belongs::to_stream, priority_size},
    {FrameType::rst_stream, Belongs::to_stream, 4},
    {FrameType::settings, Belongs::to_connection, {}},
    {FrameType::ping, Belongs::to_connection, 8},
    {FrameType::goaway, Belongs::to_connection, {}},
    {FrameType::window_update, Belongs::to_either, 4},
    {FrameType::continuation, Belongs::to_stream, {}},
}};

/// Whether a reset with this code says that the client has done something wrong.
constexpr bool blames_client(ErrorCode code) {
  switch (code) {
    case ErrorCode::no_error:
    case ErrorCode::internal_error:
    case ErrorCode::refused_stream:
    case ErrorCode::cancel: return false;
    default: return true;
  }
}

}  // namespace

FrameReader::FrameReader(FrameEvents& events, const RequestLimits& limits, bool extended_connect)
    : events_(events), limits_(limits), reader_(limits, extended_connect) {}

// ---------------------------------------------------------------------------- bytes

bool FrameReader::receive(std::string_view bytes, Time now) {
  now_ = now;
  while (!bytes.empty() && !over_) {
    std::size_t used = 0;
    switch (at_) {
      case At::preface: used = read_preface(bytes); break;
      case At::header: used = read_header(bytes); break;
      case At::payload: used = read_payload(bytes); break;
      default: used = read_content(bytes); break;
    }
    bytes.remove_prefix(used);
  }
  return !over_;
}

std::size_t FrameReader::read_preface(std::string_view bytes) {
  const auto rest = http2_preface.substr(have_);
  const auto size = std::min(rest.size(), bytes.size());
  if (!rest.starts_with(bytes.substr(0, size))) {
    fail(ErrorCode::protocol_error, "it does not begin with the preface");
  }
  have_ += size;
  if (have_ == http2_preface.size()) at_ = At::header;
  return size;
}

std::size_t FrameReader::read_header(std::string_view bytes) {
  std::size_t used = frame_header_size;
  if (partial_.empty() && bytes.size() >= used) {
    frame_ = parse_frame_header(bytes.data());
  } else {
    used = std::min(frame_header_size - partial_.size(), bytes.size());
    partial_.append(bytes.substr(0, used));
    if (partial_.size() < frame_header_size) return used;
    frame_ = parse_frame_header(partial_.data());
    partial_.clear();
  }
  on_header();
  return used;
}

std::size_t FrameReader::read_payload(std::string_view bytes) {
  const auto used = std::min<std::size_t>(frame_.length - partial_.size(), bytes.size());
  const bool whole = partial_.size() + used == frame_.length;
  if (partial_.empty() && whole) {
    at_ = At::header;
    on_payload(bytes.substr(0, used));
    return used;
  }
  partial_.append(bytes.substr(0, used));
  if (!whole) return used;
  at_ = At::header;
  on_payload(partial_);
  partial_ = {};  // idle connections keep no buffers
  return used;
}

// ---------------------------------------------------------------------------- frames

void FrameReader::on_header() {
  if (frame_.length > max_frame_size) {
    return fail(ErrorCode::frame_size_error, "a frame is too large");
  }
  if (!std::exchange(settled_, true) && (type() != FrameType::settings || has(flag::ack))) {
    return fail(ErrorCode::protocol_error, "the first frame is not SETTINGS");
  }
  const bool in_block = block_stream_ != 0;
  if (in_block != (type() == FrameType::continuation) ||
      (in_block && frame_.stream != block_stream_)) {
    return fail(ErrorCode::protocol_error, "a header block is not in one piece");
  }
  if (type() == FrameType::push_promise) {
    return fail(ErrorCode::protocol_error, "a client pushes");
  }
  if (!has_its_shape()) return;
  at_ = At::payload;
  if (!passes_by_state()) return;
  if (type() == FrameType::data) return begin_content();
  if (frame_.length != 0) return;
  at_ = At::header;
  on_payload({});
}

bool FrameReader::has_its_shape() {
  const auto* const shape = std::ranges::find(shapes, type(), &Shape::type);
  if (shape == shapes.end()) return true;
  const bool on_stream = frame_.stream != 0;
  if (shape->belongs != Belongs::to_either && on_stream != (shape->belongs == Belongs::to_stream)) {
    fail(ErrorCode::protocol_error, "a frame is on the wrong stream");
  } else if (shape->size && frame_.length != *shape->size) {
    fail(ErrorCode::frame_size_error, "a frame is of the wrong size");
  }
  return !over_;
}

FrameReader::State FrameReader::state_of(std::int32_t id) {
  if (id == 0) return State::open;
  if (const Stream* stream = find(id)) {
    return stream->request_whole ? State::half_closed : State::open;
  }
  switch (past_.state_of(id)) {
    case PastStreams::State::idle: return State::idle;
    case PastStreams::State::skipped: return State::skipped;
    case PastStreams::State::closed: return State::closed;
    case PastStreams::State::forgotten: return State::forgotten;
  }
  return State::forgotten;
}

// What it adds to a flood, if it is one.
void FrameReader::note_frame(bool past) {
  switch (type()) {
    case FrameType::continuation: return;  // are counted by themselves
    case FrameType::window_update: return count(Flood::windows);
    case FrameType::rst_stream: return count(past ? Flood::control : Flood::resets);
    case FrameType::data:
    case FrameType::headers:
      if (past) count(Flood::control);
      return;
    default: return count(Flood::control);
  }
}

bool FrameReader::passes_by_state() {
  const State state = state_of(frame_.stream);
  note_frame(state >= State::closed);
  const auto* const row = std::ranges::find(rows, type(), &Row::type);
  if (row == rows.end()) return !over_;
  switch (row->answers[static_cast<std::size_t>(state)]) {
    case take:
    case ignore: break;  // by whoever finds no stream
    case misplaced:
      fail(ErrorCode::protocol_error, "a frame is on a stream that is not open");
      break;
    case too_late: fail(ErrorCode::stream_closed, "a closed stream goes on"); break;
  }
  return !over_;
}

void FrameReader::on_payload(std::string_view payload) {
  switch (type()) {
    case FrameType::headers: return on_headers(payload);
    case FrameType::continuation:
      if (++continuations_ > most_continuations) {
        return fail(ErrorCode::enhance_your_calm, "too many CONTINUATION frames");
      }
      return read_block(payload);
    case FrameType::priority:
      if (stream_number(payload) == frame_.stream) {
        fail(ErrorCode::protocol_error, "a stream depends on itself");
      }
      return;
    case FrameType::rst_stream:
      if (find(frame_.stream) == nullptr) return;
      close(frame_.stream, true);
      return events_.on_reset(frame_.stream, number(payload, 4));
    case FrameType::settings: return on_settings(payload);
    case FrameType::ping: return events_.on_ping(payload, has(flag::ack));
    case FrameType::goaway:
      // It is about streams that a server would open.
      if (payload.size() < 8) fail(ErrorCode::frame_size_error, "a GOAWAY is too short");
      return;
    case FrameType::window_update: return on_window_update(payload);
    default: return;
  }
}

void FrameReader::on_window_update(std::string_view payload) {
  const auto size = static_cast<std::uint32_t>(stream_number(payload));
  if (frame_.stream != 0 && find(frame_.stream) == nullptr) return;
  if (size != 0) return events_.on_window_update(frame_.stream, size);
  constexpr std::string_view why = "a window is opened by nothing";
  if (frame_.stream == 0) return fail(ErrorCode::protocol_error, why);
  events_.on_stream_error(frame_.stream, ErrorCode::protocol_error, why);
}

// Section 6.5.2.
bool FrameReader::permits(Setting setting, std::uint32_t value) {
  constexpr std::uint32_t largest_frame = 0xFF'FFFF;
  auto code = ErrorCode::no_error;
  switch (setting) {
    case Setting::enable_push:
      if (value > 1) code = ErrorCode::protocol_error;
      break;
    case Setting::initial_window_size:
      if (value > max_window) code = ErrorCode::flow_control_error;
      break;
    case Setting::max_frame_size:
      if (value < max_frame_size || value > largest_frame) code = ErrorCode::protocol_error;
      break;
    default: break;
  }
  if (code != ErrorCode::no_error) fail(code, "a setting has a value that it cannot have");
  return !over_;
}

void FrameReader::on_settings(std::string_view payload) {
  if (payload.size() % setting_size != 0 || (has(flag::ack) && !payload.empty())) {
    return fail(ErrorCode::frame_size_error, "SETTINGS are of the wrong size");
  }
  if (has(flag::ack)) return events_.on_settings_ack();
  for (auto rest = payload; !rest.empty(); rest.remove_prefix(setting_size)) {
    const auto id = number(rest, 2);
    if (id > static_cast<unsigned>(Setting::max_header_list_size)) continue;  // means nothing here
    if (!permits(static_cast<Setting>(id), number(rest.substr(2), 4))) return;
  }
  events_.on_settings(payload);
}

// ---------------------------------------------------------------------------- content

void FrameReader::begin_content() {
  content_left_ = frame_.length;
  padding_left_ = padding_due_ = 0;
  if (!has(flag::padded)) {
    check_content();
    return go_on_with_content();
  }
  if (frame_.length == 0) return fail(ErrorCode::frame_size_error, "padding without a length");
  at_ = At::padding_length;
}

// Section 8.1.1: content is as long as its head has announced.
void FrameReader::check_content() {
  Stream* stream = find(frame_.stream);
  if (stream == nullptr) return;
  const bool last = has(flag::end_stream);
  const std::uint64_t size = content_left_;
  if (size == 0 && !last) count(Flood::empty);
  if (!stream->content_left) return;
  const std::uint64_t due = *stream->content_left;
  if (size > due || (last && size != due)) {
    return events_.on_stream_error(frame_.stream, ErrorCode::protocol_error,
                                   "content is not as long as was announced");
  }
  stream->content_left = due - size;
}

void FrameReader::go_on_with_content() {
  at_ = content_left_ != 0 ? At::content : padding_left_ != 0 ? At::padding : At::header;
  if (at_ != At::header || !has(flag::end_stream)) return;
  if (Stream* stream = find(frame_.stream)) end_request(*stream);
}

std::size_t FrameReader::read_padding_length(std::string_view bytes) {
  padding_left_ = static_cast<unsigned char>(bytes.front());
  if (padding_left_ >= content_left_) {
    fail(ErrorCode::protocol_error, "more padding than there is room for");
    return 1;
  }
  padding_due_ = padding_left_ + 1;
  content_left_ -= padding_due_;
  check_content();
  if (find(frame_.stream) == nullptr) {
    events_.on_dropped(bytes.substr(0, 1));
  } else if (content_left_ == 0) {
    events_.on_content(frame_.stream, {}, std::exchange(padding_due_, 0));
  }
  go_on_with_content();
  return 1;
}

std::size_t FrameReader::read_content(std::string_view bytes) {
  if (at_ == At::padding_length) return read_padding_length(bytes);
  auto& left = at_ == At::content ? content_left_ : padding_left_;
  const auto piece = bytes.substr(0, left);
  left -= piece.size();
  const bool wanted = find(frame_.stream) != nullptr;
  if (at_ == At::content && wanted) {
    events_.on_content(frame_.stream, piece, std::exchange(padding_due_, 0));
  } else if (at_ == At::content || padding_due_ != 0) {
    events_.on_dropped(piece);
  }
  if (left == 0) go_on_with_content();
  return piece.size();
}

// ---------------------------------------------------------------------------- header blocks

void FrameReader::on_headers(std::string_view payload) {
  if (has(flag::padded)) {
    const std::size_t padding = payload.empty() ? 0 : static_cast<unsigned char>(payload.front());
    if (padding >= payload.size()) {
      return fail(ErrorCode::protocol_error, "more padding than there is room for");
    }
    payload = payload.substr(1, payload.size() - 1 - padding);
  }
  if (has(flag::priority)) {
    if (payload.size() < priority_size) {
      return fail(ErrorCode::frame_size_error, "a priority is too short");
    }
    if (stream_number(payload) == frame_.stream) {
      return fail(ErrorCode::protocol_error, "a stream depends on itself");
    }
    payload.remove_prefix(priority_size);
  }
  begin_block();
  if (!over_) read_block(payload);
}

void FrameReader::begin_block() {
  block_stream_ = frame_.stream;
  block_ends_stream_ = has(flag::end_stream);
  continuations_ = 0;
  block_ = Block::ignored;
  block_size_ = 0;
  malformed_ = false;
  trailers_ = {};
  section_ = {};
  section_refused_ = false;
  const State state = state_of(frame_.stream);
  if (state == State::open) block_ = Block::trailers;
  if (state != State::idle) return;
  if (frame_.stream % 2 == 0) {
    return fail(ErrorCode::protocol_error, "a client opens a stream with an even number");
  }
  past_.note_opened(frame_.stream);
  RequestHead* head = events_.open(frame_.stream);
  block_ = head != nullptr ? Block::request : Block::refused;
  if (head == nullptr) return;
  streams_.push_back({frame_.stream});
  reader_.begin(*head);
}

void FrameReader::read_block(std::string_view fragment) {
  const bool last = has(flag::end_headers);
  if (fragment.empty() && !last) count(Flood::empty);
  if (over_) return;
  switch (decoder_.decode(fragment, last, *this)) {
    case FieldDecoder::Outcome::malformed:
      return fail(ErrorCode::compression_error, "a header block cannot be decompressed");
    case FieldDecoder::Outcome::unwanted:
      return fail(ErrorCode::enhance_your_calm,
                  "a header section that is many times larger than the limit");
    case FieldDecoder::Outcome::decoded: break;
  }
  if (last) end_block();
}

bool FrameReader::on_field(std::string_view name, std::string_view value) {
  if (block_ == Block::request) return reader_.add(name, value);
  block_size_ += name.size() + value.size();
  malformed_ |= !is_http2_field(name, value);
  if (block_ == Block::trailers && !malformed_ && !section_refused_) {
    trailers_.add_field(name, value);
    section_refused_ = section_.add(name, value, false, limits_) != nullptr;
  }
  return block_size_ <= HeadReader::patience(limits_);
}

void FrameReader::end_block() {
  const auto stream = std::exchange(block_stream_, 0);
  switch (block_) {
    case Block::request: return end_request_head(stream, block_ends_stream_);
    case Block::trailers: return end_trailers(stream, block_ends_stream_);
    case Block::refused:
      count(Flood::resets);  // the client was told how many it may have
      return events_.on_stream_error(stream, ErrorCode::refused_stream, "too many streams at once");
    case Block::ignored: return;
  }
}

void FrameReader::end_request_head(std::int32_t id, bool whole) {
  guard_.earn(Flood::control, 1);
  const auto head = reader_.finish();
  Stream* stream = find(id);
  if (stream == nullptr) return;
  const bool announced = head.semantics.framing == BodyFraming::content_length;
  if (head.outcome == HeadReader::Outcome::malformed ||
      (whole && announced && head.semantics.content_length != 0)) {
    return events_.on_stream_error(id, ErrorCode::protocol_error, "a request is malformed");
  }
  if (announced) stream->content_left = head.semantics.content_length;
  events_.on_request(id, head, whole);
  stream = find(id);
  if (whole && stream != nullptr) end_request(*stream);
}

// Section 8.1: it ends its stream, and has no pseudo-header fields.
void FrameReader::end_trailers(std::int32_t id, bool whole) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (malformed_ || !whole || stream->content_left.value_or(0) != 0) {
    return events_.on_stream_error(id, ErrorCode::protocol_error, "a trailer section is malformed");
  }
  events_.on_trailers(id, std::exchange(trailers_, {}));
  stream = find(id);  // whoever is told may end it
  if (stream != nullptr) end_request(*stream);
}

// ---------------------------------------------------------------------------- streams

FrameReader::Stream* FrameReader::find(std::int32_t id) {
  const auto found = std::ranges::lower_bound(streams_, id, {}, &Stream::id);
  return found != streams_.end() && found->id == id ? &*found : nullptr;
}

void FrameReader::close(std::int32_t id, bool remembered) {
  if (Stream* stream = find(id)) {
    waiting_ -= stream->waiting.cost;
    streams_.erase(streams_.begin() + (stream - streams_.data()));
  }
  if (remembered) past_.note_closed(id);
}

void FrameReader::end_request(Stream& stream) {
  const auto id = stream.id;
  stream.request_whole = true;
  if (stream.answer_whole) close(id, true);
  events_.on_request_end(id);
}

void FrameReader::end_answer(std::int32_t id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->answer_whole = true;
  if (stream->request_whole) close(id, true);
}

void FrameReader::reset(std::int32_t id, ErrorCode code) {
  close(id, false);
  if (blames_client(code)) count(Flood::resets);
}

void FrameReader::note_sent(std::size_t size) {
  // Updates of the stream's window and of the connection's, for each part of it.
  const auto parts = 1 + static_cast<double>(size) / 1024;
  guard_.earn(Flood::windows, 2 * parts);
  guard_.earn(Flood::control, 1);
}

std::size_t FrameReader::held() const {
  if (block_stream_ == 0) return partial_.size();
  return partial_.size() + (block_ == Block::request ? reader_.held() : block_size_);
}

void FrameReader::note_waiting(std::int32_t id, std::size_t cost) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->waiting.cost += cost;
  stream->waiting.last_came = now_;
  waiting_ += cost;
}

void FrameReader::note_taken(std::int32_t id) {
  if (waiting_ == 0) return;
  if (Stream* stream = find(id)) waiting_ -= std::exchange(stream->waiting.cost, 0);
}

FrameReader::Waiting FrameReader::waiting(std::int32_t id) {
  const Stream* stream = find(id);
  if (stream == nullptr) return {};
  return {stream->waiting.cost, stream->waiting.last_came, stream->request_whole};
}

bool FrameReader::give_up_head(const Refusal& why) {
  return block_stream_ != 0 && block_ == Block::request && reader_.give_up(why);
}

void FrameReader::count(Flood kind) {
  if (guard_.note(kind, now_)) return;
  const FloodLimit& limit = flood_limits[static_cast<std::size_t>(kind)];
  fail(ErrorCode::enhance_your_calm, std::string("too many ").append(limit.name));
}

void FrameReader::fail(ErrorCode code, std::string_view why) {
  if (!std::exchange(over_, true)) error_ = {code, std::string(why)};
}

}  // namespace prowingen::http2
