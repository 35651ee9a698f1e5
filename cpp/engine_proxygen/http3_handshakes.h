// Connections of QUIC whose clients have not shown yet that they are there: a packet of any sender
// makes one, which costs the memory of its handshake for some seconds. There are so many of them
// and no more: the oldest is given up for the next one, as a client that is there needs the time of
// a few packets.
#pragma once

#include <folly/SocketAddress.h>
#include <folly/io/async/EventBase.h>
#include <quic/server/QuicServerTransport.h>

#include <atomic>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace prowingen::proxygen_engine {

/// Of one I/O thread, which is where all of it is called.
class Handshakes : public std::enable_shared_from_this<Handshakes> {
 public:
  /// How many there are, of all I/O threads.
  using Count = std::shared_ptr<std::atomic<std::size_t>>;

  Handshakes(std::size_t most, Count count) : most_(most), count_(std::move(count)) {}

  void add(folly::EventBase& loop, const quic::QuicServerTransport::Ptr& connection,
           const folly::SocketAddress& client);
  void remove(const quic::QuicSocket* connection);
  /// Whether a client at this address is at it.
  bool goes_on_with(const folly::SocketAddress& client) const { return clients_.contains(client); }
  /// Removes it when that goes.
  std::shared_ptr<void> removal(const quic::QuicSocket* connection);

 private:
  struct Handshake {
    const quic::QuicSocket* key;
    std::weak_ptr<quic::QuicServerTransport> connection;
    folly::SocketAddress client;
  };
  using List = std::list<Handshake>;

  const std::size_t most_;
  const Count count_;
  List going_on_;  // the oldest first
  std::unordered_map<const quic::QuicSocket*, List::iterator> places_;
  std::unordered_multiset<folly::SocketAddress> clients_;
};

/// By I/O thread.
using HandshakesOfLoops = std::map<folly::EventBase*, std::shared_ptr<Handshakes>>;

}  // namespace prowingen::proxygen_engine
