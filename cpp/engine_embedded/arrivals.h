// Connections on which something comes before HTTP: a proxy has yet to say for whom it speaks, or
// TLS to be agreed on.
//
//   accepted --> PROXY header, if one is due --> handshake, if there is TLS --> Connection
//      |                |                            |
//      |                |                            +--HTTP without TLS: told so --> discard
//      |                +--malformed                 +--failed                           |
//      +--not allowed --+--late, or the client's end-+------------------------> closed <-+
//
// What a client without TLS goes on to send is thrown away up to drain_limit: unread at the close
// it would make the kernel reset the connection, and the answer would be lost with it.
//
// They count as open like any other, and a drain or a stop closes them. I/O thread only.
#pragma once

#include <list>
#include <memory>
#include <string_view>

#include "core/complaints.h"
#include "core/connection_socket.h"
#include "core/exchange.h"
#include "engine_embedded/tls_stream.h"
#include "event_loop/event_loop.h"
#include "proxies/proxy_reader.h"

namespace prowingen::embedded {

class IoThread;

class Arrivals {
 public:
  explicit Arrivals(IoThread& io);
  ~Arrivals();

  /// Takes over a connection that was accepted.
  void add(ConnectionSocket socket, unsigned listener, std::shared_ptr<ConnectionInfo> info);
  /// Closes those whose time is up. One whose client has just spoken gets drain_grace more, once.
  void expire();
  /// The server drains: they get no more time than a connection that waits for its first request.
  void drain();
  void close_all();

 private:
  class Arrival;
  // In order of their deadlines.
  using List = std::list<Arrival>;

  void read_header(Arrival& arrival);
  void await_handshake(Arrival& arrival);
  void shake_hands(Arrival& arrival);
  void wait(Arrival& arrival, Interest interest);
  void hand_over(Arrival& arrival);
  void end_validation(Arrival& arrival);
  void answer_plain_http(Arrival& arrival);
  void await_end(Arrival& arrival);
  void discard(Arrival& arrival);
  void postpone(Arrival& arrival);
  /// `why`: for the log, unless it is empty.
  void close(Arrival& arrival, std::string_view why, std::string_view fault = {});

  IoThread& io_;
  std::unique_ptr<TlsBuffers> tls_buffers_;  // null: no TLS
  List list_;
};

}  // namespace prowingen::embedded
