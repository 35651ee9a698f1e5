#include "engine_proxygen/http2_codec.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <string>

#include "access_log/exchange.h"
#include "engine_proxygen/announcing.h"
#include "engine_proxygen/event_thread.h"
#include "http/http2_policy.h"
#include "proxies/proxies.h"

namespace prowingen::proxygen_engine {
namespace {

// proxygen gives padding back to the connection's window twice, and ends the process when that is
// two gigabytes too large.
constexpr std::uint64_t most_padding = std::uint64_t{1} << 30;
// A server opens none with such a number, and a client must not.
constexpr std::uint64_t nobodys_stream = 2;

constexpr std::size_t reset_size = http2::frame_header_size + 4;

// Each piece of content that waits is a buffer of its own.
constexpr std::size_t cost_of_piece = sizeof(folly::IOBuf) + 32;

px::ErrorCode error_code(std::uint32_t code) {
  // Section 7: unknown ones are like any other.
  const bool known = code <= static_cast<std::uint32_t>(px::ErrorCode::HTTP_1_1_REQUIRED);
  return known ? static_cast<px::ErrorCode>(code) : px::ErrorCode::INTERNAL_ERROR;
}

px::HTTPException exception(http2::ErrorCode code, std::string_view why) {
  px::HTTPException error(px::HTTPException::Direction::INGRESS_AND_EGRESS, std::string(why));
  error.setCodecStatusCode(error_code(static_cast<std::uint32_t>(code)));
  return error;
}

std::uint64_t octets(std::string_view text) {
  std::uint64_t value = 0;
  for (const char octet : text) value = value << 8 | static_cast<unsigned char>(octet);
  return value;
}

constexpr std::size_t ping_size = 8;

using FrameHeader = std::array<char, http2::frame_header_size>;

/// RFC 9113 section 4.1.
FrameHeader frame_header(std::size_t size, http2::FrameType type, std::uint8_t flags,
                         std::uint64_t stream) {
  const auto octet = [](std::uint64_t value, int shift) {
    return static_cast<char>(static_cast<unsigned char>(value >> shift));
  };
  return {octet(size, 16),         octet(size, 8),           octet(size, 0),
          static_cast<char>(type), static_cast<char>(flags), octet(stream, 24),
          octet(stream, 16),       octet(stream, 8),         octet(stream, 0)};
}

/// A frame about the connection.
std::string control_frame(http2::FrameType type, std::uint8_t flags, std::string_view payload) {
  const FrameHeader header = frame_header(payload.size(), type, flags, 0);
  return std::string(header.data(), header.size()).append(payload);
}

std::string settings_frame(std::string_view pairs) {
  return control_frame(http2::FrameType::settings, 0, pairs);
}

std::vector<http2::HeaderField> list_fields(const px::HTTPHeaders& headers) {
  std::vector<http2::HeaderField> fields;
  headers.forEach([&](const std::string& name, const std::string& value) {
    fields.push_back({name, value});
  });
  return fields;
}

std::int32_t number_of(std::uint64_t stream) { return static_cast<std::int32_t>(stream); }

}  // namespace

Http2Codec::Http2Codec(EventThread& thread)
    : HTTP2Codec(px::TransportDirection::DOWNSTREAM),
      thread_(thread),
      reader_(static_cast<http2::FrameEvents&>(*this), thread.limits(), true),
      client_settings_(*HTTP2Codec::getIngressSettings()),
      charge_(thread.context().memory.get()) {
  setAddDateHeaderToResponse(false);
  enableDoubleGoawayDrain();
  getEgressSettings()->setSetting(px::SettingsId::MAX_HEADER_LIST_SIZE,
                                  thread.limits().max_header_bytes);
  getEgressSettings()->setSetting(px::SettingsId::ENABLE_CONNECT_PROTOCOL, 1);
  tell_base(std::string(http2_preface) + settings_frame({}));
}

// ---------------------------------------------------------------------------- memory

void Http2Codec::settle_charge() {
  const auto waiting = output_since_ == SteadyTime() ? 0 : output();
  charge_.set(reader_.held() + reader_.waiting() + waiting);
}

// What a loop's turn leaves is nobody's fault.
void Http2Codec::look_at_output(SteadyTime now) {
  const bool waits = output() >= MemoryCharge::step;
  if (!waits && output_since_ == SteadyTime()) return;
  if (!waits) output_since_ = {};
  if (waits && output_since_ == SteadyTime()) output_since_ = now;
  settle_charge();
}

MemoryHolding Http2Codec::memory_held(SteadyTime now) const {
  MemoryHolding holding;
  if (reader_.held() != 0) holding = {reader_.held(), now - waits_since_};
  if (output_since_ != SteadyTime()) {
    holding.bytes += output();
    holding.waited = std::max<std::chrono::duration<double>>(holding.waited, now - output_since_);
  }
  return holding;
}

bool Http2Codec::give_up() {
  if (output_since_ != SteadyTime() && output() > reader_.held()) {
    thread_.drop(*session_, Departure::memory_short);  // and this with it
    return true;
  }
  if (over_ || reader_.held() == 0) return false;
  if (reader_.give_up_head(refusal(RequestFault::request_timeout))) {
    settle_charge();
    return true;
  }
  const folly::DelayedDestruction::DestructorGuard guard(session_);
  reader_.fail(http2::ErrorCode::enhance_your_calm, "memory is short, and a frame does not end");
  end_connection();
  return true;
}

void Http2Codec::note_taken(std::int64_t stream) {
  content_taken_ = true;
  if (reader_.waiting() == 0) return;
  reader_.note_taken(static_cast<std::int32_t>(stream));
  settle_charge();
}

MemoryHolding Http2Codec::content_waiting(std::int64_t stream, SteadyTime now) {
  const auto waiting = reader_.waiting(static_cast<std::int32_t>(stream));
  if (waiting.cost == 0) return {};
  // Who has sent it all, or ahead as far as its window lets it about, has got on as well as it can.
  const bool ahead = waiting.cost >= static_cast<std::size_t>(thread_.options().stream_window) / 2;
  if (waiting.whole || ahead) return {waiting.cost};
  return {waiting.cost, now - waiting.last_came};
}

// ---------------------------------------------------------------------------- the handler

const std::shared_ptr<const ConnectionInfo>& Http2Codec::ends() {
  return thread_.ends_of(*session_);
}

std::shared_ptr<HandledExchange> Http2Codec::take_request() {
  HandledExchange& exchange = *incoming_;
  exchange.peer = ends();
  exchange.listener = thread_.listener_of(*session_);
  if (exchange.peer->from_proxy && exchange.refusal == nullptr) {
    exchange.peer = thread_.context().proxies.ends_of(exchange.request, exchange.peer);
  }
  return std::move(incoming_);
}

void Http2Codec::keep_counting(const std::shared_ptr<HandledExchange>& exchange) {
  departed_.push_back(exchange);
}

bool Http2Codec::has_room_for_stream() {
  std::erase_if(departed_, [](const auto& exchange) { return exchange.use_count() == 1; });
  return reader_.open_streams() + departed_.size() <
         static_cast<std::size_t>(thread_.options().max_streams);
}

// ---------------------------------------------------------------------------- reading

std::size_t Http2Codec::onIngress(const folly::IOBuf& input) noexcept {
  read_share_.renew(thread_, *session_);
  input_ = &input;
  const std::string_view bytes(reinterpret_cast<const char*>(input.data()), input.length());
  const bool nothing_held = reader_.held() == 0;
  const auto now = std::chrono::steady_clock::now();
  const bool goes_on = reader_.receive(bytes, now);
  if (goes_on && !pings_.empty()) callback_->onPingRequest(0);
  if (nothing_held) waits_since_ = now;
  settle_charge();
  thread_.look_at_memory();
  await_block();
  if (!goes_on) end_connection();
  return input.length();
}

void Http2Codec::setParserPaused(bool paused) {
  HTTP2Codec::setParserPaused(paused);
  if (!paused || session_ == nullptr) return;
  thread_.look_at_transport(*session_);
  if (!std::exchange(watched_, true)) thread_.watch_transport(*session_);
}

void Http2Codec::end_connection() {
  if (std::exchange(over_, true)) return;
  cancelTimeout();
  const auto& error = reader_.error();
  thread_.complain_of_http2(*ends(), error.why);
  callback_->onError(0, exception(error.code, error.why), false);
}

// Each header block has the time of a head.
void Http2Codec::await_block() {
  const auto block = over_ ? 0 : reader_.block_stream();
  if (std::exchange(awaited_block_, block) == block) return;
  if (block == 0) return cancelTimeout();
  thread_.loop().timer().scheduleTimeout(this, to_milliseconds(thread_.options().header_timeout));
}

void Http2Codec::timeoutExpired() noexcept {
  const folly::DelayedDestruction::DestructorGuard guard(session_);
  reader_.fail(http2::ErrorCode::enhance_your_calm, "a header block does not come to its end");
  end_connection();
}

std::unique_ptr<folly::IOBuf> Http2Codec::part_of_input(std::string_view bytes) const {
  // A clone keeps the whole buffer of a read, of which this may be a small part.
  if (bytes.size() < input_->capacity() / 2) {
    return folly::IOBuf::copyBuffer(bytes.data(), bytes.size());
  }
  auto part = input_->cloneOne();
  part->trimStart(
      static_cast<std::size_t>(reinterpret_cast<const std::uint8_t*>(bytes.data()) - part->data()));
  part->trimEnd(part->length() - bytes.size());
  return part;
}

RequestHead* Http2Codec::open(std::int32_t stream) {
  const auto id = static_cast<StreamID>(stream);
  if (!isStreamIngressEgressAllowed(id)) return nullptr;  // it was told so by a GOAWAY
  if (!has_room_for_stream()) return nullptr;
  if (incoming_) thread_.recycle(std::move(incoming_));
  incoming_ = thread_.make_exchange();
  return &incoming_->request;
}

void Http2Codec::on_request(std::int32_t stream, const http2::HeadReader::Result& head,
                            bool whole) {
  ++requests_;
  // Not before its head is whole: a GOAWAY would claim a request that the session has not heard of.
  if (sessionClosing_ != ClosingState::CLOSED) lastStreamID_ = static_cast<StreamID>(stream);
  HandledExchange& exchange = *incoming_;
  exchange.stream_id = stream;
  const RequestSemantics& semantics = head.semantics;
  exchange.bytes_in = head.size;
  exchange.refusal = head.verdict;
  if (head.verdict != nullptr) thread_.count_refusal();
  exchange.may_upgrade = head.upgrades && !whole;
  exchange.has_body = !whole && !exchange.may_upgrade;
  if (exchange.has_body && head.verdict == nullptr) {
    exchange.expects_continue = semantics.expects_continue;
    exchange.expect_body(semantics, thread_.options());
    exchange.body_left = semantics.content_length;
  }
  // What the transaction has to know of it; the rest is in the exchange.
  const bool head_request = exchange.request.method() == "HEAD";
  auto message = thread_.make_message();
  message->setMethod(head_request ? px::HTTPMethod::HEAD : px::HTTPMethod::POST);
  const Announcing<Http2Codec> this_one(this);
  const auto id = static_cast<StreamID>(stream);
  callback_->onMessageBegin(id, message.get());
  callback_->onHeadersComplete(id, std::move(message));
}

void Http2Codec::on_content(std::int32_t stream, std::string_view bytes, std::size_t padding) {
  padding_ += padding;
  if (padding_ > most_padding) {
    return reader_.fail(http2::ErrorCode::enhance_your_calm, "too much padding");
  }
  content_taken_ = false;
  callback_->onBody(static_cast<StreamID>(stream), part_of_input(bytes),
                    static_cast<std::uint16_t>(padding));
  if (!content_taken_) reader_.note_waiting(stream, bytes.size() + cost_of_piece);
}

void Http2Codec::on_dropped(std::string_view bytes) {
  callback_->onBody(nobodys_stream, part_of_input(bytes), 0);
}

void Http2Codec::on_trailers(std::int32_t stream, const FieldSection& section) {
  auto trailers = std::make_unique<px::HTTPHeaders>();
  for (const FieldLine& field : section.fields()) {
    trailers->add(std::string(section.view(field.name)), std::string(section.view(field.value)));
  }
  callback_->onTrailersComplete(static_cast<StreamID>(stream), std::move(trailers));
}

void Http2Codec::on_request_end(std::int32_t stream) {
  callback_->onMessageComplete(static_cast<StreamID>(stream), false);
}

void Http2Codec::on_reset(std::int32_t stream, std::uint32_t code) {
  std::erase(failing_, static_cast<StreamID>(stream));
  callback_->onAbort(static_cast<StreamID>(stream), error_code(code));
}

void Http2Codec::on_stream_error(std::int32_t stream, http2::ErrorCode code, std::string_view why) {
  const bool untold = incoming_ && code == http2::ErrorCode::protocol_error;
  if (untold) refuse_malformed(stream);
  resetting_ = stream;
  callback_->onError(static_cast<StreamID>(stream), exception(code, why), true);
  resetting_ = 0;
}

// A request that no handler was told of.
void Http2Codec::refuse_malformed(std::int32_t stream) {
  thread_.count_refusal();
  incoming_->stream_id = stream;
  incoming_->peer = ends();
  incoming_->listener = thread_.listener_of(*session_);
  constexpr int status = 400;  // had it been HTTP/1
  log_exchange(thread_.context(), *incoming_, status, false, ++requests_);
  thread_.recycle(std::move(incoming_));
}

void Http2Codec::on_window_update(std::int32_t stream, std::uint32_t size) {
  callback_->onWindowUpdate(static_cast<StreamID>(stream), size);
}

void Http2Codec::on_ping(std::string_view payload, bool ack) {
  if (!ack) {
    pings_.append(payload);
    return;
  }
  std::uint64_t data = 0;  // which nobody looks into
  std::memcpy(&data, payload.data(), sizeof data);
  callback_->onPingReply(data);
}

// Of a setting that is there more than once, the last one counts. The base class makes use of one
// of them; for a window of 0, which RFC 9113 permits, it would end the connection.
void Http2Codec::on_settings(std::string_view pairs) {
  using http2::Setting;
  constexpr std::size_t pair_size = 6;
  constexpr auto known = static_cast<std::size_t>(Setting::max_header_list_size);
  std::array<std::string_view, known + 1> last;
  for (; !pairs.empty(); pairs.remove_prefix(pair_size)) {
    const std::size_t setting = octets(pairs.substr(0, 2));
    if (setting <= known) last[setting] = pairs.substr(0, pair_size);
    if (setting == static_cast<std::size_t>(Setting::header_table_size)) {
      encoder_.set_table_size(static_cast<std::uint32_t>(octets(pairs.substr(2, 4))));
    }
  }
  px::SettingsList changed;
  for (std::size_t setting = 0; setting <= known; ++setting) {
    if (last[setting].empty()) continue;
    const auto value = static_cast<std::uint32_t>(octets(last[setting].substr(2)));
    changed.emplace_back(static_cast<px::SettingsId>(setting), value);
    client_settings_.setSetting(changed.back().id, value);
    if (static_cast<Setting>(setting) == Setting::max_frame_size) {
      tell_base(settings_frame(last[setting]));
    }
  }
  window_overflows_ = false;
  callback_->onSettings(changed);
  if (window_overflows_) {
    reader_.fail(http2::ErrorCode::flow_control_error, "SETTINGS open a window too far");
  }
}

// Without the session, which is told by this codec.
void Http2Codec::tell_base(std::string_view frames) {
  auto* const session = std::exchange(callback_, nullptr);
  HTTP2Codec::onIngress(folly::IOBuf::wrapBufferAsValue(frames.data(), frames.size()));
  callback_ = session;
}

// ---------------------------------------------------------------------------- writing

// HEADERS, and CONTINUATION for what the client does not take in one frame.
std::size_t Http2Codec::write_block(folly::IOBufQueue& out, StreamID stream,
                                    std::string_view status,
                                    std::span<const http2::HeaderField> fields, bool last) {
  std::string block;
  encoder_.encode(status, fields, block);
  const auto most = static_cast<std::size_t>(
      client_settings_.getSetting(px::SettingsId::MAX_FRAME_SIZE, http2::max_frame_size));
  auto type = http2::FrameType::headers;
  std::uint8_t flags = last ? http2::flag::end_stream : 0;
  for (std::string_view rest = block;;) {
    const auto part = rest.substr(0, most);
    rest.remove_prefix(part.size());
    if (rest.empty()) flags |= http2::flag::end_headers;
    const FrameHeader header = frame_header(part.size(), type, flags, stream);
    out.append(header.data(), header.size());
    out.append(part.data(), part.size());
    if (rest.empty()) return block.size();
    type = http2::FrameType::continuation;
    flags = 0;
  }
}

void Http2Codec::end_answer(StreamID stream) {
  reader_.end_answer(number_of(stream));
  settle_charge();
}

void Http2Codec::set_fields(const px::HTTPMessage& message,
                            std::span<const http2::HeaderField> fields) {
  next_head_ = &message;
  next_fields_ = fields;
}

void Http2Codec::generateHeader(folly::IOBufQueue& out, StreamID stream,
                                const px::HTTPMessage& message, bool last, px::HTTPHeaderSize* size,
                                const folly::Optional<px::HTTPHeaders>&) {
  out_ = &out;
  const bool told = std::exchange(next_head_, nullptr) == &message;
  if (!isStreamIngressEgressAllowed(stream)) return;
  const std::string status = std::to_string(message.getStatusCode());
  const auto written =
      told ? write_block(out, stream, status, next_fields_, last)
           : write_block(out, stream, status, list_fields(message.getHeaders()), last);
  if (size != nullptr) size->compressed = static_cast<std::uint32_t>(written);
  if (last) end_answer(stream);
}

std::size_t Http2Codec::generateBody(folly::IOBufQueue& out, StreamID stream,
                                     std::unique_ptr<folly::IOBuf> body,
                                     folly::Optional<std::uint8_t> padding, bool last) {
  reader_.note_sent(body ? body->computeChainDataLength() : 0);
  const bool fails = last && std::erase(failing_, stream) != 0;
  const auto size = HTTP2Codec::generateBody(out, stream, std::move(body), padding, last && !fails);
  if (fails) return size + generateRstStream(out, stream, px::ErrorCode::INTERNAL_ERROR);
  if (last) end_answer(stream);
  return size;
}

std::size_t Http2Codec::generateTrailers(folly::IOBufQueue& out, StreamID stream,
                                         const px::HTTPHeaders& trailers) {
  const auto fields = list_fields(trailers);
  if (fields.empty()) return generateEOM(out, stream);
  const auto size = write_block(out, stream, {}, fields, true);
  end_answer(stream);
  return size;
}

std::size_t Http2Codec::generateEOM(folly::IOBufQueue& out, StreamID stream) {
  if (std::erase(failing_, stream) != 0) {
    return generateRstStream(out, stream, px::ErrorCode::INTERNAL_ERROR);
  }
  const auto size = HTTP2Codec::generateEOM(out, stream);
  end_answer(stream);
  return size;
}

// The session puts what it is given here ahead of all that is to be written, and walks through that
// each time: many pings would take the square of their number.
std::size_t Http2Codec::generatePingReply(folly::IOBufQueue& out, std::uint64_t) {
  std::string frames;
  for (std::string_view rest = pings_; !rest.empty(); rest.remove_prefix(ping_size)) {
    frames += control_frame(http2::FrameType::ping, http2::flag::ack, rest.substr(0, ping_size));
  }
  pings_.clear();
  out.append(frames.data(), frames.size());
  return frames.size();
}

std::size_t Http2Codec::generateRstStream(folly::IOBufQueue& out, StreamID stream,
                                          px::ErrorCode code) {
  const auto id = number_of(stream);
  out_ = &out;
  std::erase(failing_, stream);
  window_overflows_ |= code == px::ErrorCode::FLOW_CONTROL_ERROR;
  // The session would have one for whatever comes on a stream that it does not know, and for one
  // whose request has ended since. Where nothing was written it would reset the whole connection.
  if (id != resetting_ && !reader_.is_open(id)) return reset_size;
  reader_.reset(id, static_cast<http2::ErrorCode>(code));
  settle_charge();
  return HTTP2Codec::generateRstStream(out, stream, code);
}

}  // namespace prowingen::proxygen_engine
