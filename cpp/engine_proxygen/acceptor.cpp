#include "engine_proxygen/acceptor.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/engine_figures.h"
#include "engine_proxygen/announcing.h"
#include "engine_proxygen/connection_ends.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/handlers.h"
#include "engine_proxygen/http1_codec.h"
#include "engine_proxygen/http1_handler.h"
#include "engine_proxygen/kept_socket.h"
#include "http/http2_policy.h"
#include "http1/response_writer.h"
#include "proxies/proxies.h"
#include "tls/served.h"

namespace prowingen::proxygen_engine {

namespace {

/// Whether what has come already cannot be the preface of HTTP/2.
bool begins_otherwise(int socket) {
  std::array<char, http2_preface.size()> bytes;
  const auto size = ::recv(socket, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  return size > 0 && !http2_preface.starts_with({bytes.data(), static_cast<std::size_t>(size)});
}

}  // namespace

Acceptor::Acceptor(std::shared_ptr<const px::AcceptorConfiguration> configuration,
                   std::shared_ptr<px::HTTPCodecFactory> codecs, std::shared_ptr<TlsContexts> tls,
                   EventThread& thread, std::function<void()> on_change)
    : HTTPSessionAcceptor(std::move(configuration), std::move(codecs)),
      tls_(std::move(tls)),
      thread_(thread),
      on_change_(std::move(on_change)),
      complaints_(thread.context()) {
  thread_.add(*this);
}

Acceptor::~Acceptor() {
  thread_.remove(*this);
  for (std::size_t left = arrivals_.size(); left > 0; --left) thread_.arrival_over();
}

px::HTTPTransaction::Handler* Acceptor::newHandler(px::HTTPTransaction& transaction,
                                                   px::HTTPMessage* message) noexcept {
  Http1Codec* codec = Announcing<Http1Codec>::current();
  if (codec == nullptr) return make_stream_handler(thread_, transaction, *message, http_2);
  return adapt(std::make_unique<Http1Handler>(*codec));
}

void Acceptor::connectionAccepted(folly::NetworkSocket socket, const folly::SocketAddress& peer,
                                  AcceptInfo info) noexcept {
  thread_.count_accepted();
  const bool header_due = thread_.context().proxies.send_headers();
  if (!header_due && !tls_ && (!speaks_both() || begins_otherwise(socket.toFd()))) {
    return HTTPSessionAcceptor::connectionAccepted(socket, peer, info);
  }
  ConnectionSocket owned(socket.toFd());
  const auto ends = peer_end(peer);
  if (header_due && !thread_.context().proxies.may_connect(ends.remote_address)) {
    return complaints_.add(ends, Complaints::not_allowed, {}, std::chrono::steady_clock::now());
  }
  Arrival& arrival = arrivals_.emplace_back(*this, std::move(owned), peer, info);
  arrival.place = std::prev(arrivals_.end());
  thread_.arrived();
  on_change_();
  const auto time = to_milliseconds(thread_.options().header_timeout);
  using Awaited = Arrival::Awaited;
  arrival.start(header_due ? Awaited::header
                : tls_     ? Awaited::handshake
                           : Awaited::preface,
                thread_.draining() ? std::min(time, drain_grace) : time);
}

folly::AsyncSocket::UniquePtr Acceptor::makeNewAsyncSocket(folly::EventBase* loop, int socket,
                                                           const folly::SocketAddress* peer) {
  auto made = HTTPSessionAcceptor::makeNewAsyncSocket(loop, socket, peer);
  keep_socket(*made);
  return made;
}

void Acceptor::header_came(Arrival& arrival) {
  thread_.announce(arrival.socket(), arrival.reader().header());
  if (tls_) return arrival.await_handshake();
  speaks_both() ? arrival.await_preface() : hand_over(arrival);
}

bool Acceptor::speaks_both() const { return thread_.options().http == "auto"; }

void Acceptor::hand_over(Arrival& arrival) {
  ConnectionSocket socket = arrival.take_socket();
  const auto peer = arrival.peer();
  const auto info = arrival.accept_info();
  const auto read = arrival.preface();
  arrivals_.erase(arrival.place);
  if (read.empty()) {
    HTTPSessionAcceptor::connectionAccepted(folly::NetworkSocket::fromFd(socket.release()), peer,
                                            info);
  } else {
    auto transport = makeNewAsyncSocket(getEventBase(), socket.release(), &peer);
    transport->setPreReceivedData(folly::IOBuf::copyBuffer(read));
    wangle::TransportInfo about;
    about.acceptTime = std::chrono::steady_clock::now();
    about.timeBeforeEnqueue = info.timeBeforeEnqueue;
    connectionReady(std::move(transport), peer, read == http2_preface ? "h2" : "",
                    wangle::SecureTransportType::NONE, about);
  }
  one_less();  // only now, so that there is always one connection that counts
}

void Acceptor::hand_over_transport(Arrival& arrival) {
  auto transport = arrival.take_transport();
  thread_.count_handshake(true);
  const auto peer = arrival.peer();
  wangle::TransportInfo info;
  info.secure = true;
  info.acceptTime = std::chrono::steady_clock::now();
  info.timeBeforeEnqueue = arrival.accept_info().timeBeforeEnqueue;
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  transport->getSelectedNextProtocol(&protocol, &size);
  const std::string negotiated(reinterpret_cast<const char*>(protocol), size);
  const bool validated = tls::was_answered(*transport->getSSL());
  arrivals_.erase(arrival.place);
  if (validated) {  // no data follows it (RFC 8737 section 4)
    transport->close();
    return one_less();
  }
  connectionReady(std::move(transport), peer, negotiated, wangle::SecureTransportType::TLS, info);
  one_less();
}

void Acceptor::refuse_plain_http(Arrival& arrival, int socket) {
  http1::refuse_plain_http(socket, thread_.standing());
  thread_.count_refusal();
  arrival.await_end(thread_.options().drain_limit);
}

void Acceptor::close(Arrival& arrival, std::string_view why, std::string_view detail) {
  if (!why.empty() && !thread_.draining()) {
    complaints_.add(peer_end(arrival.peer()), why, detail, std::chrono::steady_clock::now());
  }
  if (arrival.is_shaking()) thread_.count_handshake(false);
  arrivals_.erase(arrival.place);
  one_less();
}

void Acceptor::one_less() {
  thread_.arrival_over();
  on_change_();
  if (stopped_ && arrivals_.empty()) HTTPSessionAcceptor::acceptStopped();
}

void Acceptor::drain() {
  for (Arrival& arrival : arrivals_) arrival.hurry(drain_grace);
}

void Acceptor::acceptStopped() noexcept {
  stopped_ = true;
  if (arrivals_.empty()) HTTPSessionAcceptor::acceptStopped();
}

}  // namespace prowingen::proxygen_engine
