#include "engine_proxygen/http3_server.h"

#include <fcntl.h>
#include <folly/Random.h>
#include <poll.h>
#include <quic/server/QuicHandshakeSocketHolder.h>
#include <quic/server/QuicServer.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <utility>

#include "core/options.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/http3_datagram_sockets.h"
#include "engine_proxygen/http3_handshakes.h"
#include "engine_proxygen/http3_session.h"
#include "engine_proxygen/http3_socket.h"
#include "engine_proxygen/http3_tls.h"
#include "processes/datagram_steering.h"

namespace prowingen::proxygen_engine {
namespace {

/// Of all I/O threads together, and of each.
constexpr std::size_t most_handshakes = 1000;
constexpr std::size_t least_handshakes = 16;
// How long a drain waits for connections that have begun and are not made yet: a flight and its
// answer, sent again once.
constexpr std::chrono::seconds handshake_grace{3};

/// Makes a session of each connection.
class Connections final : public quic::QuicServerTransportFactory,
                          private quic::QuicHandshakeSocketHolder::Callback {
 public:
  Connections(std::shared_ptr<QuicTls> tls, std::function<EventThread&()> here,
              std::function<bool()> has_room, px::HTTPSessionBase::InfoCallback& sessions,
              HandshakesOfLoops handshakes)
      : tls_(std::move(tls)),
        here_(std::move(here)),
        has_room_(std::move(has_room)),
        handshakes_(std::move(handshakes)),
        sessions_(sessions) {}

  quic::QuicServerTransport::Ptr make(
      folly::EventBase* loop, std::unique_ptr<quic::FollyAsyncUDPSocketAlias> socket,
      const folly::SocketAddress& client, quic::QuicVersion,
      std::shared_ptr<const fizz::server::FizzServerContext>) noexcept override {
    auto* const bounded = dynamic_cast<BoundedSocket*>(socket.get());
    auto made = quic::QuicHandshakeSocketHolder::makeServerTransport(loop, std::move(socket),
                                                                     tls_->current(), this);
    if (bounded != nullptr) {
      bounded->belong_to(static_cast<const quic::QuicServerConnectionState&>(*made->getState()));
    }
    handshakes_.at(loop)->add(*loop, made, client);
    return made;
  }

 private:
  void onQuicTransportReady(std::shared_ptr<quic::QuicSocket> socket) override {
    auto* session = new Http3Session(here_(), has_room_, sessions_);
    session->keep_until_connected(handshakes_here().removal(socket.get()));
    socket->setConnectionSetupCallback(session);
    socket->setConnectionCallback(session);
    session->setSocket(std::move(socket));
    session->startNow();
    session->onTransportReady();
  }
  void onConnectionSetupError(std::shared_ptr<quic::QuicSocket> socket, quic::QuicError) override {
    handshakes_here().remove(socket.get());
  }
  Handshakes& handshakes_here() { return *handshakes_.at(&here_().loop()); }

  const std::shared_ptr<QuicTls> tls_;
  const std::function<EventThread&()> here_;
  const std::function<bool()> has_room_;
  const HandshakesOfLoops handshakes_;
  px::HTTPSessionBase::InfoCallback& sessions_;
};

quic::TransportSettings settings_for(const Options& options) {
  quic::TransportSettings settings;
  settings.advertisedInitialMaxStreamsBidi = static_cast<std::uint64_t>(options.max_streams);
  settings.advertisedInitialBidiRemoteStreamFlowControlWindow = http3_stream_window;
  settings.advertisedInitialConnectionFlowControlWindow = http3_connection_window(options);
  settings.advertisedInitialMaxStreamsUni = most_http3_unidirectional_streams;
  settings.advertisedInitialUniStreamFlowControlWindow = http3_stream_window;
  settings.disableMigration = false;
  // So much for each packet of a client that has not shown where it is; its socket counts bytes.
  settings.enableWritableBytesLimit = true;
  settings.limitedCwndInMss = 3;
  // The time for the next request is the I/O thread's. A client that is gone without a word is
  // missed after this time, and one that waits for its answer is kept by pings.
  settings.idleTimeout =
      std::max(quic::kDefaultIdleTimeout, to_milliseconds(options.keep_alive_timeout) * 2);
  settings.enableKeepalive = true;
  settings.batchingMode = quic::QuicBatchingMode::BATCHING_MODE_GSO;
  settings.maxBatchSize = quic::kDefaultQuicMaxBatchSize;
  // Without a secret for tokens mvfst takes every client for one that has shown where it is (RFC
  // 9000 section 8.1.3). It sends no Retry packets: only its own client takes them for ones, as
  // they are sealed for a version of its own, and name the id that the client has chosen itself.
  auto& tokens = settings.retryTokenSecret.emplace();
  folly::Random::secureRandom(tokens.data(), tokens.size());
  auto& secret = settings.statelessResetTokenSecret.emplace();
  folly::Random::secureRandom(secret.data(), secret.size());
  return settings;
}

HandshakesOfLoops bounded_handshakes(const std::vector<folly::EventBase*>& loops,
                                     const Handshakes::Count& count) {
  const auto share = std::max(most_handshakes / loops.size(), least_handshakes);
  HandshakesOfLoops made;
  for (folly::EventBase* loop : loops) made[loop] = std::make_shared<Handshakes>(share, count);
  return made;
}

}  // namespace

Http3Server::Http3Server(const EngineContext& context, const folly::SocketAddress& address,
                         const DatagramSpec& datagrams, const std::vector<folly::EventBase*>& loops,
                         const std::function<EventThread&()>& here, std::function<bool()> has_room,
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
  const auto handshakes = bounded_handshakes(loops, handshakes_);
  begun_ = [handshakes, here](const folly::SocketAddress& client) {
    return handshakes.at(&here().loop())->goes_on_with(client);
  };
  server_->setQuicServerTransportFactory(
      std::make_unique<Connections>(tls, here, has_room, sessions, handshakes));
  server_->setQuicUDPSocketFactory(connection_sockets());
  server_->setSupportedVersion({quic::QuicVersion::QUIC_V1});
  server_->setFizzContext(tls->current());
  server_->rejectNewConnections(
      [has_room = std::move(has_room), begun = begun_](const folly::SocketAddress& client) {
        return !has_room() && !begun(client);
      });
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
  server_->rejectNewConnections(
      [begun = begun_](const folly::SocketAddress& client) { return !begun(client); });
}

bool Http3Server::drained() const {
  return handshakes_->load() == 0 ||
         std::chrono::steady_clock::now() >= draining_since_ + handshake_grace;
}

}  // namespace prowingen::proxygen_engine
