// HTTP/3 (RFC 9114): QUIC by mvfst, on the I/O threads that the other connections have, and
// proxygen's sessions on that.
//
//   UDP sockets, one for each I/O thread --> quic::QuicServer --handshake--> HQSession: its
//   streams' transactions have handlers as HTTP/2's do
//
// The kernel shares out what comes to the port by its addresses, and mvfst hands on what belongs to
// another thread's connection by the connection id.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/engine.h"
#include "core/forks.h"
#include "engine_proxygen/compat.h"

namespace quic {
class QuicServer;
}

namespace prowingen::proxygen_engine {

class EventThread;

class Http3Server {
 public:
  /// Serves the UDP port of the same address. `here`: the I/O thread that calls. `has_room`: for
  /// one connection more. All of these outlive this. Throws std::system_error, or
  /// std::invalid_argument for a certificate that cannot be used.
  Http3Server(const EngineContext& context, const folly::SocketAddress& address,
              const std::vector<folly::EventBase*>& loops, std::function<EventThread&()> here,
              std::function<bool()> has_room, px::HTTPSessionBase::InfoCallback& sessions);
  ~Http3Server();
  Http3Server(const Http3Server&) = delete;
  Http3Server& operator=(const Http3Server&) = delete;

  /// Takes no more connections. Any thread but those of the loops.
  void drain();

 private:
  std::shared_ptr<quic::QuicServer> server_;
  std::vector<KeptFromChildren> kept_;
};

}  // namespace prowingen::proxygen_engine
