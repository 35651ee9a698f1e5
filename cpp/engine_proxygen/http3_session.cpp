#include "engine_proxygen/http3_session.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "access_log/exchange.h"
#include "engine_proxygen/handlers.h"
#include "engine_proxygen/refusing_handler.h"
#include "http/http2_policy.h"
#include "http/octets.h"

namespace prowingen::proxygen_engine {
namespace {

namespace h3 = px::HTTP3;

/// Of every type but DATA and HEADERS: SETTINGS and its like have a few octets for each thing.
constexpr std::uint64_t longest_other_frame = std::uint64_t{16} * 1024;
// A client may have its requests refer to what it has sent before, and not to what is on its way:
// a request that waits for that would be kept, with all that follows on its stream.
constexpr std::uint64_t table_size = 4096;
constexpr std::uint64_t most_blocked_streams = 0;
// What all transactions may keep, as far as proxygen's limit can say it.
constexpr std::uint64_t most_unread = std::uint64_t{1} << 31;

// What proxygen does not look at in a request for another protocol (RFC 8441 section 4).
bool is_malformed(const px::HTTPMessage& message) {
  const auto& protocol = message.getUpgradeProtocol();
  return protocol && (!is_token(*protocol) || !message.getURL().starts_with('/') ||
                      message.getHeaders().getSingleOrEmpty(px::HTTP_HEADER_HOST).empty());
}

/// Makes a handler of each request of one session, with which it ends.
class Requests final : public px::HTTPSessionController {
  static Http3Session& session_of(px::HTTPTransaction& stream) {
    return static_cast<Http3Session&>(*stream.getTransport().getHTTPSessionBase());
  }

  px::HTTPTransactionHandler* getRequestHandler(px::HTTPTransaction& stream,
                                                px::HTTPMessage* message) override {
    Http3Session& session = session_of(stream);
    session.thread().session_opened(session);  // if it is not yet
    if (is_malformed(*message)) return session.refuse_malformed(stream, *message);
    return make_stream_handler(session.thread(), stream, *message, http_3);
  }
  px::HTTPTransactionHandler* getParseErrorHandler(px::HTTPTransaction* stream,
                                                   const px::HTTPException& error,
                                                   const folly::SocketAddress&) override {
    return session_of(*stream).refuse(*stream, error);
  }
  px::HTTPTransactionHandler* getTransactionTimeoutHandler(px::HTTPTransaction* stream,
                                                           const folly::SocketAddress&) override {
    return session_of(*stream).refuse_late(*stream);
  }
  void attachSession(px::HTTPSessionBase*) override {}
  void detachSession(const px::HTTPSessionBase*) override { delete this; }
};

/// Calls `read` with each piece of the last `size` bytes of a buffer.
template <typename Read>
void for_each_piece(const folly::IOBufQueue& buffer, std::size_t size, Read read) {
  const folly::IOBuf* const first = buffer.front();
  if (first == nullptr) return;
  std::size_t before = buffer.chainLength() - std::min(size, buffer.chainLength());
  const folly::IOBuf* part = first;
  do {
    const auto skipped = std::min<std::size_t>(before, part->length());
    before -= skipped;
    read(std::string_view(reinterpret_cast<const char*>(part->data()) + skipped,
                          part->length() - skipped));
    part = part->next();
  } while (part != first);
}

px::HTTPException too_large(px::HTTPException::Direction direction) {
  px::HTTPException error(direction, "a header section that is too large");
  error.setHttp3ErrorCode(h3::HTTP_EXCESSIVE_LOAD);
  // Of a head it is answered, and it ends an exchange.
  const bool head = direction == px::HTTPException::Direction::INGRESS;
  error.setProxygenError(head ? px::kErrorRead : px::kErrorMessage);
  return error;
}

}  // namespace

Http3Session::Http3Session(EventThread& thread, const std::function<bool()>& has_room,
                           px::HTTPSessionBase::InfoCallback& sessions)
    // The time is that of a stream without a request; handlers have time limits of their own.
    : HQDownstreamSession(to_milliseconds(thread.options().header_timeout),
                          std::make_unique<Requests>().release(), wangle::TransportInfo(), nullptr),
      thread_(thread),
      has_room_(has_room),
      events_(*this, sessions),
      charge_(thread.context().memory.get()) {
  setInfoCallback(&events_);
  // By itself proxygen reads nothing of any stream while this much waits for workers. Here a stream
  // that waits is not read further, and what was read of it before is charged.
  setReadBufferLimit(static_cast<std::uint32_t>(
      std::min<std::uint64_t>(http3_connection_window(thread.options()), most_unread)));
  setEgressSettings({{px::SettingsId::HEADER_TABLE_SIZE, table_size},
                     {px::SettingsId::_HQ_QPACK_BLOCKED_STREAMS, most_blocked_streams},
                     {px::SettingsId::MAX_HEADER_LIST_SIZE, thread.limits().max_header_bytes},
                     {px::SettingsId::ENABLE_CONNECT_PROTOCOL, 1}});
}

// The base class says goodbye when this class is gone.
Http3Session::~Http3Session() {
  if (!shaken_) thread_.count_handshake(false);
  setInfoCallback(&events_.others());
}

// ---------------------------------------------------------------------------- what is told

void Http3Session::Events::onFullHandshakeCompletion(const px::HTTPSessionBase& session) {
  session_.shaken_ = true;
  session_.thread_.count_handshake(true);
  // Others may have come meanwhile.
  if (!session_.has_room_()) return session_.turn_away();
  others_.onFullHandshakeCompletion(session);
  session_.until_connected_.reset();  // a drain waits for it, and then for the session
}

void Http3Session::turn_away() {
  if (std::exchange(over_, true)) return;
  until_connected_.reset();
  dropConnectionAsync(quic::QuicError(h3::HTTP_NO_ERROR, "there is no room for another connection"),
                      px::kErrorConnection);
}

// Of a stream there is the codec's own error.
void Http3Session::Events::onIngressError(const px::HTTPSessionBase&, px::ProxygenError error) {
  if (error == px::kErrorMessage) session_.complain("its frames are malformed");
  if (error == px::kErrorBadDecompress) session_.complain("its fields cannot be decompressed");
}

void Http3Session::Events::onRead(const px::HTTPSessionBase&, std::size_t size,
                                  folly::Optional<px::HTTPCodec::StreamID> stream) {
  if (!stream) return;
  const quic::StreamId id = *stream;
  session_.sock_->isBidirectionalStream(id) ? session_.look_at_request(id, size)
                                            : session_.look_at_control(id, size);
}

void Http3Session::Events::onTransactionDetached(const px::HTTPSessionBase&) {
  session_.forget_ended();
}

// ---------------------------------------------------------------------------- streams

void Http3Session::keep_counting(const std::shared_ptr<HandledExchange>& exchange) {
  departed_.push_back(exchange);
}

void Http3Session::read_stream(std::uint64_t stream, bool reads) {
  if (!sock_) return;
  (void)(reads ? sock_->resumeRead(stream) : sock_->pauseRead(stream));  // it may be over
}

// RFC 9114 section 4.1. proxygen hears no more of the stream: the client's reset, which is its
// answer (RFC 9000 section 3.5), would end what is still to be sent.
void Http3Session::stop_reading(std::uint64_t stream) {
  // Soon and not now: the session is in the middle of something.
  thread_.loop().runInLoop([this, stream, guard = DestructorGuard(this)] {
    if (!sock_) return;
    auto* const found = findNonDetachedStream(stream);
    if (found == nullptr || found->txn_.isIngressEOMSeen()) return;
    found->abortIngress();
    abortStream(px::HTTPException::Direction::INGRESS, stream, h3::HTTP_NO_ERROR);
    found->txn_.onIngressEOM();
  });
}

std::size_t Http3Session::most_streams() const {
  return static_cast<std::size_t>(thread_.options().max_streams);
}

// QUIC counts the streams that are open.
bool Http3Session::has_room_for_stream() {
  if (departed_.empty()) return true;
  std::erase_if(departed_, [](const auto& exchange) { return exchange.use_count() == 1; });
  return departed_.size() + streams_.size() < most_streams();
}

// A client may open others when a part of the streams that it may have is over. That is half of
// them by mvfst's own measure, which never comes where more than half live long, as WebSockets do:
// so it is half of those that are left.
void Http3Session::grant_streams() {
  const auto left = most_streams() - std::min(most_streams() - 1, streams_.size());
  const auto fraction = std::min(most_streams(), 2 * most_streams() / left);
  sock_->getState()->streamManager->setStreamLimitWindowingFraction(fraction);
}

void Http3Session::onNewBidirectionalStream(quic::StreamId id) noexcept {
  if (has_room_for_stream()) {
    grant_streams();
    return HQDownstreamSession::onNewBidirectionalStream(id);
  }
  // Nobody reads it, and for such a one the next line asks for no end.
  (void)sock_->stopSending(id, h3::HTTP_REQUEST_REJECTED);
  abortStream(px::HTTPException::Direction::INGRESS_AND_EGRESS, id, h3::HTTP_REQUEST_REJECTED);
  note(http2::Flood::resets);
}

void Http3Session::onNewUnidirectionalStream(quic::StreamId id) noexcept {
  HQDownstreamSession::onNewUnidirectionalStream(id);
  note(http2::Flood::control);
}

void Http3Session::readError(quic::StreamId id, quic::QuicError error) noexcept {
  if (error.code.type() == quic::QuicErrorCode::Type::ApplicationErrorCode) note_reset(id);
  HQDownstreamSession::readError(id, std::move(error));
}

void Http3Session::onStopSending(quic::StreamId id, quic::ApplicationErrorCode error) noexcept {
  note_reset(id);
  HQDownstreamSession::onStopSending(id, error);
}

// ---------------------------------------------------------------------------- frames

void Http3Session::readAvailable(quic::StreamId id) noexcept {
  const DestructorGuard guard(this);
  HQDownstreamSession::readAvailable(id);
  if (!oversized_.empty()) refuse_oversized();
}

void Http3Session::look_at_request(quic::StreamId id, std::size_t size) {
  const auto* const stream = findIngressStream(id);
  if (stream == nullptr) return;
  const auto found = walks_.find(id);
  FrameWalk walk = found != walks_.end() ? found->second : FrameWalk();
  for_each_piece(stream->readBuf_, size, [&](std::string_view bytes) {
    walk.read(bytes,
              [&](std::uint64_t type, std::uint64_t length) { look_at_frame(id, type, length); });
  });
  keep(id, walk, stream->readEOF_);
}

void Http3Session::look_at_frame(quic::StreamId id, std::uint64_t type, std::uint64_t length) {
  if (type == static_cast<std::uint64_t>(Http3Frame::data)) {
    if (length == 0) note(http2::Flood::empty);
  } else if (type == static_cast<std::uint64_t>(Http3Frame::headers)) {
    guard_.earn(http2::Flood::control, 1);
    if (length > thread_.limits().max_header_bytes) oversized_.push_back(id);
  } else {
    note(http2::Flood::control);
    if (length > longest_other_frame) fail("a frame is too long");
  }
}

// Those of field compression have no frames: what is held of an instruction is bounded by the
// decoder.
void Http3Session::look_at_control(quic::StreamId id, std::size_t size) {
  const auto* const stream = findControlStream(id);  // null: its type was read, and no more
  if (stream == nullptr || stream->type_ != px::hq::UnidirectionalStreamType::CONTROL) return;
  FrameWalk walk = walks_[id];
  for_each_piece(stream->readBuf_, size, [&](std::string_view bytes) {
    walk.read(bytes, [&](std::uint64_t, std::uint64_t length) {
      note(http2::Flood::control);
      if (length > longest_other_frame) fail("a control frame is too long");
    });
  });
  keep(id, walk, false);
  settle_charge();
}

void Http3Session::keep(quic::StreamId id, const FrameWalk& walk, bool ended) {
  const auto found = walks_.find(id);
  if (found != walks_.end()) parts_ -= found->second.unfinished();
  if (ended) {
    if (found != walks_.end()) walks_.erase(found);
    return;
  }
  parts_ += walk.unfinished();
  walks_.insert_or_assign(id, walk);
}

// Nobody says which one it was; looking for it now and then costs each of them little.
void Http3Session::forget_ended() {
  constexpr std::size_t some = 16;
  if (parts_ < MemoryCharge::step && walks_.size() < 2 * streams_.size() + some) return;
  std::erase_if(walks_, [&](const auto& entry) {
    const bool ended = !streams_.contains(entry.first) && findControlStream(entry.first) == nullptr;
    if (ended) parts_ -= entry.second.unfinished();
    return ended;
  });
}

void Http3Session::refuse_oversized() {
  for (const quic::StreamId id : std::exchange(oversized_, {})) {
    auto* const stream = findNonDetachedStream(id);
    if (stream == nullptr || over_) continue;
    note(http2::Flood::resets);
    if (stream->txn_.getHandler() == nullptr) {
      stream->codecStreamId_ = id;  // to be answered by
      stream->onError(id, too_large(px::HTTPException::Direction::INGRESS), false);
    } else {  // a trailer section
      stream->errorOnTransaction(too_large(px::HTTPException::Direction::INGRESS_AND_EGRESS));
      abortStream(px::HTTPException::Direction::INGRESS_AND_EGRESS, id, h3::HTTP_EXCESSIVE_LOAD);
    }
  }
}

void Http3Session::runSessionLoopCallback() noexcept {
  const DestructorGuard guard(this);
  HQDownstreamSession::runSessionLoopCallback();
  settle_charge();
  if (lost_window_ > http3_connection_window(thread_.options()) / 2 &&
      !std::exchange(leaving_, true)) {
    closeWhenIdle();  // its client opens another
  }
}

// ---------------------------------------------------------------------------- refusals

px::HTTPTransactionHandler* Http3Session::refuse(px::HTTPTransaction& stream,
                                                 const px::HTTPException& error) {
  thread_.session_opened(*this);
  // The decoder has another code for what exceeds the size that it was told of.
  if (!error.hasHttpStatusCode()) {
    thread_.count_refusal();
    const Refusal& large = refusal(RequestFault::header_too_large);
    log_refused(stream, large, true, nullptr);
    return make_refusing_handler(thread_, large);
  }
  reset_malformed(stream, error.getPartialMsg());
  return nullptr;
}

px::HTTPTransactionHandler* Http3Session::refuse_malformed(px::HTTPTransaction& stream,
                                                           const px::HTTPMessage& message) {
  reset_malformed(stream, &message);
  return make_resetting_handler();
}

// RFC 9114 section 4.1.2; 400, had it been HTTP/1.
void Http3Session::reset_malformed(const px::HTTPTransaction& stream,
                                   const px::HTTPMessage* message) {
  thread_.count_refusal();
  log_refused(stream, refusal(RequestFault::bad_field_value), false, message);
  note(http2::Flood::resets);
  abortStream(px::HTTPException::Direction::INGRESS_AND_EGRESS, stream.getID(),
              h3::HTTP_MESSAGE_ERROR);
}

px::HTTPTransactionHandler* Http3Session::refuse_late(px::HTTPTransaction& stream) {
  thread_.session_opened(*this);
  thread_.count_refusal();
  note(http2::Flood::resets);
  const Refusal& late = refusal(RequestFault::request_timeout);
  log_refused(stream, late, true, nullptr);
  abortStream(px::HTTPException::Direction::INGRESS, stream.getID(), h3::HTTP_INCOMPLETE_REQUEST);
  return make_refusing_handler(thread_, late);
}

void Http3Session::log_refused(const px::HTTPTransaction& stream, const Refusal& refusal,
                               bool complete, const px::HTTPMessage* message) {
  auto exchange = thread_.make_exchange();
  exchange->stream_id = static_cast<std::int64_t>(stream.getID());
  exchange->peer = ends();
  exchange->listener = thread_.listener_of(*this);
  if (message != nullptr) {
    exchange->request.set_request_line(message->getMethodString(), message->getURL(), http_3);
  }
  if (complete) exchange->body_bytes_out = exchange->bytes_out = refusal_page(refusal).size();
  log_exchange(thread_.context(), *exchange, refusal.status, complete,
               stream.getSequenceNumber() + 1);
  thread_.recycle(std::move(exchange));
}

// ---------------------------------------------------------------------------- floods

void Http3Session::note(http2::Flood kind) {
  if (guard_.note(kind, std::chrono::steady_clock::now())) return;
  fail("too many " + std::string(http2::flood_limits[static_cast<std::size_t>(kind)].name));
}

void Http3Session::note_reset(quic::StreamId id) {
  const auto* const stream = findNonDetachedStream(id);
  if (stream != nullptr && !stream->txn_.isEgressEOMSeen()) note(http2::Flood::resets);
}

// Soon and not now: the session is in the middle of something.
void Http3Session::fail(std::string_view why) {
  if (std::exchange(over_, true)) return;
  complain(why);
  dropConnectionAsync(quic::QuicError(h3::HTTP_EXCESSIVE_LOAD, std::string(why)),
                      px::kErrorConnection);
}

void Http3Session::complain(std::string_view why) { thread_.complain_of_http3(*ends(), why); }

const std::shared_ptr<const ConnectionInfo>& Http3Session::ends() {
  thread_.session_opened(*this);  // if it is not yet
  return thread_.ends_of(*this);
}

// ---------------------------------------------------------------------------- memory

// What streams that are over have brought and nobody has read is gone, and mvfst opens no window
// for it: of the connection's there is less and less.
std::uint64_t Http3Session::held() {
  if (!sock_) return 0;
  const auto& state = *sock_->getState();
  const auto unread =
      state.flowControlState.sumMaxObservedOffset - state.flowControlState.sumCurReadOffset;
  std::uint64_t waiting = 0;
  if (unread != 0) {
    state.streamManager->streamStateForEach([&](const quic::QuicStreamState& stream) {
      // Who has read the end is one further.
      waiting +=
          stream.maxOffsetObserved - std::min(stream.maxOffsetObserved, stream.currentReadOffset);
    });
  }
  lost_window_ = unread - std::min(unread, waiting);
  return parts_ + waiting;
}

void Http3Session::settle_charge() {
  const auto bytes = held();
  if (charge_.bytes() == 0) held_since_ = std::chrono::steady_clock::now();
  charge_.set(bytes);
  if (bytes >= MemoryCharge::step) thread_.look_at_memory();
}

MemoryHolding Http3Session::memory_held(SteadyTime now) const {
  return {charge_.bytes(), now - held_since_};
}

bool Http3Session::give_up() {
  if (over_ || !sock_) return false;
  fail("memory is short, and what it has sent cannot be used yet");
  return true;
}

}  // namespace prowingen::proxygen_engine
