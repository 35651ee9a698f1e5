// Connections of QUIC whose clients have not shown yet that they are there: a packet of any sender
// makes one, which costs the memory of its handshake for some seconds. There are so many of them
// and no more: the oldest is given up for the next one, as a client that is there needs the time of
// a few packets.
#pragma once

#include <folly/io/async/EventBase.h>
#include <quic/server/QuicServerTransport.h>

#include <atomic>
#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

namespace prowingen::proxygen_engine {

/// Of one I/O thread, which is where all of it is called.
class Handshakes : public std::enable_shared_from_this<Handshakes> {
 public:
  /// How many there are, of all I/O threads.
  using Count = std::shared_ptr<std::atomic<std::size_t>>;

  Handshakes(std::size_t most, Count count) : most_(most), count_(std::move(count)) {}

  void add(folly::EventBase& loop, const quic::QuicServerTransport::Ptr& connection);
  void remove(const quic::QuicSocket* connection);
  /// Removes it when that goes.
  std::shared_ptr<void> removal(const quic::QuicSocket* connection);

 private:
  struct Handshake {
    const quic::QuicSocket* key;
    std::weak_ptr<quic::QuicServerTransport> connection;
  };
  using List = std::list<Handshake>;

  const std::size_t most_;
  const Count count_;
  List going_on_;  // the oldest first
  std::unordered_map<const quic::QuicSocket*, List::iterator> places_;
};

}  // namespace prowingen::proxygen_engine
