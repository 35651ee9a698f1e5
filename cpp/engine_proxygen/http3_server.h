// HTTP/3 (RFC 9114): QUIC by mvfst, on the I/O threads that the other connections have, and
// proxygen's sessions on that.
//
//   UDP sockets, one for each I/O thread --> quic::QuicServer --handshake--> HQSession: its
//   streams' transactions have handlers as HTTP/2's do
//
// The sockets are made before, as those of TCP are, and there are others on the same port where
// other processes serve it: processes/datagram_steering.h says who gets what. What belongs to
// another thread's connection all the same, mvfst hands on.
#pragma once

#include <atomic>
#include <chrono>
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
  /// Serves the UDP port of the same address, by a socket for each of the loops. `here`: the I/O
  /// thread that calls. `has_room`: for one connection more. All of these outlive this. Throws
  /// std::system_error, or std::invalid_argument for a certificate that cannot be used.
  Http3Server(const EngineContext& context, const folly::SocketAddress& address,
              const DatagramSpec& datagrams, const std::vector<folly::EventBase*>& loops,
              const std::function<EventThread&()>& here, std::function<bool()> has_room,
              px::HTTPSessionBase::InfoCallback& sessions);
  ~Http3Server();
  Http3Server(const Http3Server&) = delete;
  Http3Server& operator=(const Http3Server&) = delete;

  // ---- one thread, but none of the loops'

  /// Whether something waits in the kernel that had come before this was asked first.
  bool has_waiting();
  /// Takes no more connections.
  void drain();
  /// Whether no connection is being made any more that had begun before, unless it takes long. One
  /// that is made is a session, and not counted here. Any thread.
  bool drained() const;

 private:
  std::shared_ptr<quic::QuicServer> server_;
  const std::shared_ptr<std::atomic<std::size_t>> handshakes_;
  // Whether a client at this address has begun: its packets are not turned away with those of new
  // ones. On the loop that they come to.
  std::function<bool(const folly::SocketAddress&)> begun_;
  std::chrono::steady_clock::time_point draining_since_;
  std::vector<KeptFromChildren> kept_;
  std::vector<int> unread_;  // sockets that were not seen empty yet
};

}  // namespace prowingen::proxygen_engine
