#include "engine_proxygen/http3_handshakes.h"

#include <utility>

namespace prowingen::proxygen_engine {

void Handshakes::add(folly::EventBase& loop, const quic::QuicServerTransport::Ptr& connection,
                     const folly::SocketAddress& client) {
  if (going_on_.size() >= most_) {
    const Handshake oldest = going_on_.front();
    remove(oldest.key);
    // Soon and not now: mvfst is about to enter the next one among its connections.
    loop.runInLoop([given_up = oldest.connection] {
      if (const auto alive = given_up.lock()) {
        alive->closeNow(quic::QuicError(quic::LocalErrorCode::CONNECTION_RESET, "too many begin"));
      }
    });
  }
  count_->fetch_add(1);
  clients_.insert(client);
  going_on_.push_back({connection.get(), connection, client});
  places_[connection.get()] = std::prev(going_on_.end());
}

void Handshakes::remove(const quic::QuicSocket* connection) {
  const auto found = places_.find(connection);
  if (found == places_.end()) return;
  clients_.erase(clients_.find(found->second->client));
  going_on_.erase(found->second);
  places_.erase(found);
  count_->fetch_sub(1);
}

std::shared_ptr<void> Handshakes::removal(const quic::QuicSocket* connection) {
  return {nullptr, [here = shared_from_this(), connection](void*) { here->remove(connection); }};
}

}  // namespace prowingen::proxygen_engine
