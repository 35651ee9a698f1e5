// A connection of which something is not known yet: for whom a proxy speaks, what TLS agrees on,
// or, without TLS, which version of HTTP its client begins with.
//
//   header (off the bare socket) --> handshake (folly's socket) --> the acceptor has it
//      |                                |                               ^
//      |                                +--HTTP without TLS: told so --> discard --> closed
//      +--no TLS--> preface (off the bare socket) ----------------------+
//
// It is not wangle's yet.
#pragma once

#include <list>

#include <folly/io/async/AsyncSSLSocket.h>
#include <folly/io/async/EventHandler.h>

#include "core/connection_socket.h"
#include "engine_proxygen/compat.h"
#include "http/http2_policy.h"
#include "proxies/proxy_reader.h"

namespace prowingen::proxygen_engine {

class Acceptor;

/// I/O thread only.
class Arrival final : private folly::EventHandler,
                      private LoopTimer,
                      private folly::AsyncSSLSocket::HandshakeCB {
 public:
  using List = std::list<Arrival>;
  using AcceptInfo = folly::AsyncServerSocket::AcceptCallback::AcceptInfo;

  Arrival(Acceptor& acceptor, ConnectionSocket socket, const folly::SocketAddress& peer,
          const AcceptInfo& accept_info);
  ~Arrival() override;

  enum class Awaited : std::uint8_t { header, handshake, preface, end };
  /// Waits for it, for so long with what follows. It may be over when this returns.
  void start(Awaited awaited, std::chrono::milliseconds time);
  /// The header is there; now for the handshake.
  void await_handshake() { awaited_ = Awaited::handshake; }
  /// The same without TLS. It may be over when this returns.
  void await_preface();
  /// What has been read of the preface: all of it of a client that speaks HTTP/2.
  std::string_view preface() const { return http2_preface.substr(0, preface_read_); }
  /// It was answered. What the client goes on to send is thrown away up to `limit`: unread at the
  /// close it would make the kernel reset the connection. It may be over when this returns.
  void await_end(std::uint64_t limit);
  /// Waits no longer than that.
  void hurry(std::chrono::milliseconds time);

  /// Stops waiting and gives the socket away.
  ConnectionSocket take_socket();
  folly::AsyncSSLSocket::UniquePtr take_transport() { return std::move(transport_); }
  /// A handshake has begun, and is not over.
  bool is_shaking() const { return shaking_ && transport_; }
  int socket() const { return socket_.get(); }
  const folly::SocketAddress& peer() const { return peer_; }
  const AcceptInfo& accept_info() const { return accept_info_; }
  const ProxyHeaderReader& reader() const { return reader_; }

  List::iterator place;  // in the acceptor's list

 private:
  void handlerReady(std::uint16_t events) noexcept override;
  void timeoutExpired() noexcept override;
  void handshakeSuc(folly::AsyncSSLSocket* socket) noexcept override;
  void handshakeErr(folly::AsyncSSLSocket* socket,
                    const folly::AsyncSocketException& error) noexcept override;
  void read_header();
  void begin_handshake();
  void look_for_preface();
  void discard();
  int descriptor() const;

  Acceptor& acceptor_;
  ConnectionSocket socket_;
  const folly::SocketAddress peer_;
  const AcceptInfo accept_info_;
  ProxyHeaderReader reader_;
  Awaited awaited_ = Awaited::header;
  std::size_t preface_read_ = 0;
  std::uint64_t discard_left_ = 0;
  bool late_ = false;
  bool shaking_ = false;                        // a probe of the port, which says nothing, is not
  bool over_ = false;                           // closing the transport calls back
  folly::AsyncSSLSocket::UniquePtr transport_;  // once the handshake has begun
};

}  // namespace prowingen::proxygen_engine
