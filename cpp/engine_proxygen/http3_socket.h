// The sockets that QUIC's connections write to: a client that has not shown that it is where its
// packets say it is gets no more than three times what has come from there (RFC 9000 section 8.1).
//
// mvfst has such a limit, in packets: it adds some for each that comes, however small, and rounds
// up. What it writes beyond the bytes is lost here, as far as it knows on its way, and written anew
// when it has heard more of the client.
#pragma once

#include <folly/io/async/AsyncUDPSocket.h>
#include <quic/server/state/ServerStateMachine.h>

#include <cstdint>

namespace prowingen::proxygen_engine {

/// I/O thread only.
class BoundedSocket : public folly::AsyncUDPSocket {
 public:
  using AsyncUDPSocket::AsyncUDPSocket;
  using AsyncUDPSocket::writev;

  /// The connection, which owns the socket.
  void belong_to(const quic::QuicServerConnectionState& connection) { connection_ = &connection; }

  ssize_t writev(const folly::SocketAddress& address, const iovec* parts, std::size_t count,
                 WriteOptions options) final;

 private:
  const quic::QuicServerConnectionState* connection_ = nullptr;
  bool shown_ = false;
  std::uint64_t sent_ = 0;  // before that
};

}  // namespace prowingen::proxygen_engine
