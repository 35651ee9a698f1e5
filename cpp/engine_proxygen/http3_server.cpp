#include "engine_proxygen/http3_server.h"

#include <fcntl.h>
#include <folly/Random.h>
#include <poll.h>
#include <proxygen/lib/http/session/HQDownstreamSession.h>
#include <quic/server/QuicHandshakeSocketHolder.h>
#include <quic/server/QuicServer.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/options.h"
#include "engine_proxygen/datagram_sockets.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/handlers.h"
#include "engine_proxygen/http3_tls.h"
#include "http/http2_policy.h"
#include "processes/datagram_steering.h"

namespace prowingen::proxygen_engine {
namespace {

// As HTTP/2 has it here.
constexpr std::uint64_t most_streams = 100;
constexpr std::uint64_t stream_window = std::uint64_t{64} * 1024;

// How long a drain waits for connections that have begun and are not made yet: a flight and its
// answer, sent again once.
constexpr std::chrono::seconds handshake_grace{3};

using Handshakes = std::shared_ptr<std::atomic<std::size_t>>;

/// One more of them for as long as this lives.
std::shared_ptr<void> count_one(const Handshakes& handshakes) {
  handshakes->fetch_add(1);
  return {handshakes.get(), [handshakes](void*) { handshakes->fetch_sub(1); }};
}

class Session final : public px::HQDownstreamSession {
 public:
  Session(std::chrono::milliseconds timeout, px::HTTPSessionController* controller,
          px::HTTPSessionBase::InfoCallback& sessions, std::shared_ptr<void> handshake)
      : HQDownstreamSession(timeout, controller, wangle::TransportInfo(), &sessions),
        handshake_(std::move(handshake)) {}

 private:
  void onFullHandshakeDone() noexcept override {
    HQDownstreamSession::onFullHandshakeDone();  // from here on it counts as a session
    handshake_.reset();
  }
  // proxygen would have answers repeat the request's priority, in a field that means something else
  // there: a server's own wishes (RFC 9218 section 5).
  folly::Optional<px::HTTPHeaders> getExtraHeaders(const px::HTTPMessage&,
                                                   quic::StreamId) override {
    return folly::none;
  }

  std::shared_ptr<void> handshake_;
};

/// Makes a handler of each request of one session. It is the session's, which may outlive the
/// server by a turn of its loop, and ends with it.
class Requests final : public px::HTTPSessionController {
 public:
  explicit Requests(const std::function<EventThread&()>& here) : here_(here) {}

 private:
  px::HTTPTransactionHandler* getRequestHandler(px::HTTPTransaction& transaction,
                                                px::HTTPMessage* message) override {
    EventThread& thread = here_();
    thread.session_opened(*transaction.getTransport().getHTTPSessionBase());  // if it is not yet
    return make_stream_handler(thread, transaction, *message, http_3);
  }
  // Without one the stream is reset, as RFC 9114 section 4.1.2 asks.
  px::HTTPTransactionHandler* getParseErrorHandler(px::HTTPTransaction*, const px::HTTPException&,
                                                   const folly::SocketAddress&) override {
    return nullptr;
  }
  px::HTTPTransactionHandler* getTransactionTimeoutHandler(px::HTTPTransaction*,
                                                           const folly::SocketAddress&) override {
    return nullptr;
  }
  void attachSession(px::HTTPSessionBase*) override {}
  void detachSession(const px::HTTPSessionBase*) override { delete this; }

  const std::function<EventThread&()> here_;
};

/// Makes a session of each connection.
class Connections final : public quic::QuicServerTransportFactory,
                          private quic::QuicHandshakeSocketHolder::Callback {
 public:
  Connections(std::shared_ptr<QuicTls> tls, std::function<EventThread&()> here,
              px::HTTPSessionBase::InfoCallback& sessions, Handshakes handshakes)
      : tls_(std::move(tls)),
        here_(std::move(here)),
        sessions_(sessions),
        handshakes_(std::move(handshakes)) {}

  quic::QuicServerTransport::Ptr make(
      folly::EventBase* loop, std::unique_ptr<quic::FollyAsyncUDPSocketAlias> socket,
      const folly::SocketAddress&, quic::QuicVersion,
      std::shared_ptr<const fizz::server::FizzServerContext>) noexcept override {
    handshakes_->fetch_add(1);  // until one of the callbacks below
    return quic::QuicHandshakeSocketHolder::makeServerTransport(loop, std::move(socket),
                                                                tls_->current(), this);
  }

 private:
  void onQuicTransportReady(std::shared_ptr<quic::QuicSocket> socket) override {
    // Of a stream without a request; handlers have time limits of their own.
    const auto time = to_milliseconds(here_().options().header_timeout);
    auto* session = new Session(time, std::make_unique<Requests>(here_).release(), sessions_,
                                count_one(handshakes_));
    handshakes_->fetch_sub(1);
    socket->setConnectionSetupCallback(session);
    socket->setConnectionCallback(session);
    session->setSocket(std::move(socket));
    session->startNow();
    session->onTransportReady();
  }
  void onConnectionSetupError(std::shared_ptr<quic::QuicSocket>, quic::QuicError) override {
    handshakes_->fetch_sub(1);
  }

  const std::shared_ptr<QuicTls> tls_;
  const std::function<EventThread&()> here_;
  px::HTTPSessionBase::InfoCallback& sessions_;
  const Handshakes handshakes_;
};

quic::TransportSettings settings_for(const Options& options) {
  quic::TransportSettings settings;
  settings.advertisedInitialMaxStreamsBidi = most_streams;
  settings.advertisedInitialBidiRemoteStreamFlowControlWindow = stream_window;
  settings.advertisedInitialConnectionFlowControlWindow = most_streams * stream_window;
  settings.disableMigration = false;
  // RFC 9000 section 8.1: three times what a client has sent that has not shown yet where it is.
  settings.enableWritableBytesLimit = true;
  // The time for the next request is the I/O thread's. A client that is gone without a word is
  // missed after this time, and one that waits for its answer is kept by pings.
  settings.idleTimeout =
      std::max(quic::kDefaultIdleTimeout, to_milliseconds(options.keep_alive_timeout) * 2);
  settings.enableKeepalive = true;
  settings.batchingMode = quic::QuicBatchingMode::BATCHING_MODE_GSO;
  settings.maxBatchSize = quic::kDefaultQuicMaxBatchSize;
  // No secret for Retry packets (RFC 9000 section 8.1.2): mvfst seals them for a version of its
  // own, and other clients drop them.
  auto& secret = settings.statelessResetTokenSecret.emplace();
  folly::Random::secureRandom(secret.data(), secret.size());
  return settings;
}

}  // namespace

Http3Server::Http3Server(const EngineContext& context, const folly::SocketAddress& address,
                         const DatagramSpec& datagrams, const std::vector<folly::EventBase*>& loops,
                         std::function<EventThread&()> here, std::function<bool()> has_room,
                         px::HTTPSessionBase::InfoCallback& sessions)
    : server_(quic::QuicServer::createQuicServer(settings_for(context.options))),
      handshakes_(std::make_shared<std::atomic<std::size_t>>(0)) {
  // mvfst would open what is missing, and end the process where it cannot.
  if (datagrams.sockets.size() != loops.size()) {
    throw std::invalid_argument("http3: it needs a UDP socket for each I/O thread");
  }
  std::vector<int> numbers;
  numbers.reserve(loops.size());
  for (const auto& socket : datagrams.sockets) {
    tell_destinations(socket.get(), address);
    numbers.push_back(socket.get());
  }
  server_->setListenerSocketFactory(listening_sockets(address));
  server_->setListeningFDs(numbers);  // of which it makes copies
  server_->setConnectionIdVersion(quic::ConnectionIdVersion::V3);
  server_->setHostId(datagrams::id_of(datagrams.first));
  const auto tls = std::make_shared<QuicTls>(context);
  server_->setQuicServerTransportFactory(
      std::make_unique<Connections>(tls, std::move(here), sessions, handshakes_));
  server_->setQuicUDPSocketFactory(connection_sockets());
  server_->setSupportedVersion({quic::QuicVersion::QUIC_V1});
  server_->setFizzContext(tls->current());
  server_->rejectNewConnections(
      [has_room = std::move(has_room)](const quic::SocketAddress&) { return !has_room(); });
  server_->initialize(quic::SocketAddress(address), loops, true);
  for (const int copy : server_->getAllListeningSocketFDs()) {
    ::fcntl(copy, F_SETFD, FD_CLOEXEC);
    kept_.emplace_back(copy);
    unread_.push_back(copy);
  }
  server_->start();
}

Http3Server::~Http3Server() {
  kept_.clear();
  server_->shutdown();
}

bool Http3Server::has_waiting() {
  std::erase_if(unread_, [](int socket) {
    ::pollfd polled{socket, POLLIN, 0};
    return ::poll(&polled, 1, 0) == 0;
  });
  return !unread_.empty();
}

void Http3Server::drain() {
  draining_since_ = std::chrono::steady_clock::now();
  server_->rejectNewConnections([](const quic::SocketAddress&) { return true; });
}

bool Http3Server::drained() const {
  return handshakes_->load() == 0 ||
         std::chrono::steady_clock::now() >= draining_since_ + handshake_grace;
}

}  // namespace prowingen::proxygen_engine
