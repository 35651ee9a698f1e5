// What takes the connections of one listening socket on one I/O thread: wangle's acceptor, with a
// stage of its own ahead of the sessions where proxies send PROXY headers, or there is TLS.
//
//   accepted --> Arrival --header--> handshake --> wangle: a session
//                   |
//                   +--malformed, failed, late, its end, or from somebody who may not--> closed
//
// The handshake is folly's, and not wangle's, so that OpenSSL's context is the embedded engine's.
//
// Arrivals count as open connections. A drain leaves them drain_grace; wangle, which takes nothing
// once it is told that accepting has stopped, is told when they are over.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include <proxygen/lib/http/session/HTTPSessionAcceptor.h>

#include "core/complaints.h"
#include "engine_proxygen/arrival.h"
#include "engine_proxygen/compat.h"
#include "engine_proxygen/tls_contexts.h"

namespace prowingen::proxygen_engine {

class EventThread;

/// I/O thread only, but for its construction.
class Acceptor final : public px::HTTPSessionAcceptor {
 public:
  /// `tls`: null for none. `on_change`: told when an arrival is over.
  Acceptor(std::shared_ptr<const px::AcceptorConfiguration> configuration,
           std::shared_ptr<px::HTTPCodecFactory> codecs, std::shared_ptr<TlsContexts> tls,
           EventThread& thread, std::function<void()> on_change);
  ~Acceptor() override;

  void drain();

  // ---- an arrival
  TlsContexts& tls() const { return *tls_; }
  void header_came(Arrival& arrival);
  void hand_over(Arrival& arrival);
  void hand_over_transport(Arrival& arrival);
  void refuse_plain_http(Arrival& arrival, int socket);
  /// `why`: for the log, unless it is empty.
  void close(Arrival& arrival, std::string_view why, std::string_view detail = {});

 private:
  px::HTTPTransaction::Handler* newHandler(px::HTTPTransaction& transaction,
                                           px::HTTPMessage* message) noexcept override;
  void connectionAccepted(folly::NetworkSocket socket, const folly::SocketAddress& peer,
                          AcceptInfo info) noexcept override;
  folly::AsyncSocket::UniquePtr makeNewAsyncSocket(folly::EventBase* loop, int socket,
                                                   const folly::SocketAddress* peer) override;
  void acceptStopped() noexcept override;
  bool speaks_both() const;
  void one_less();

  const std::shared_ptr<TlsContexts> tls_;  // null: none
  EventThread& thread_;
  const std::function<void()> on_change_;
  Complaints complaints_;
  Arrival::List arrivals_;
  bool stopped_ = false;
};

}  // namespace prowingen::proxygen_engine
