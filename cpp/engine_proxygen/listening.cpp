#include "engine_proxygen/listening.h"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace prowingen::proxygen_engine {

void Listening::begin(const px::HTTPServer& server) {
  const std::lock_guard lock(mutex_);
  for (const auto* socket : server.getSockets()) {
    const auto* listener = dynamic_cast<const folly::AsyncServerSocket*>(socket);
    if (listener == nullptr) continue;
    // proxygen hands them out to be looked at; pausing is all that is done to them.
    sockets_.push_back(const_cast<folly::AsyncServerSocket*>(listener));
    if (others_first_) sockets_.back()->setConnectionEventCallback(this);
  }
}

void Listening::pause() {
  std::vector<folly::AsyncServerSocket*> sockets;
  {
    const std::lock_guard lock(mutex_);
    accepts_ = false;
    over_ = true;
    sockets = sockets_;
  }
  for (auto* socket : sockets) {
    socket->getEventBase()->runInEventBaseThreadAndWait([socket] { socket->pauseAccepting(); });
  }
}

void Listening::end() {
  const std::lock_guard lock(mutex_);
  sockets_.clear();
}

void Listening::update(const std::function<bool()>& has_room) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  const bool on = has_room();
  if (std::exchange(accepts_, on) == on) return;
  for (auto* socket : sockets_) {
    socket->getEventBase()->runInEventBaseThread([this, socket, on] {
      const std::lock_guard still(mutex_);
      if (!is_open(socket)) return;
      on ? socket->startAccepting() : socket->pauseAccepting();
    });
  }
}

void Listening::onConnectionAccepted(const folly::NetworkSocket,
                                     const folly::SocketAddress&) noexcept {
  const auto turn = others_first_(1);
  if (turn.count() == 0) return;
  const std::lock_guard lock(mutex_);
  if (!accepts_ || sockets_.empty() || std::exchange(gives_way_, true)) return;
  for (auto* socket : sockets_) socket->pauseAccepting();
  give_way(turn);
}

// Under the lock.
void Listening::give_way(std::chrono::milliseconds turn) {
  sockets_.front()->getEventBase()->runAfterDelay(
      [this] {
        const auto again = others_first_(0);
        const std::lock_guard lock(mutex_);
        if (accepts_ && !sockets_.empty() && again.count() != 0) return give_way(again);
        gives_way_ = false;
        if (!accepts_) return;
        for (auto* socket : sockets_) socket->startAccepting();
      },
      static_cast<std::uint32_t>(turn.count()));
}

bool Listening::is_open(const folly::AsyncServerSocket* socket) const {
  return std::ranges::find(sockets_, socket) != sockets_.end();
}

bool Listening::has_waiting() const {
  std::vector<folly::AsyncServerSocket*> sockets;
  {
    const std::lock_guard lock(mutex_);
    if (accepts_) sockets = sockets_;
  }
  return std::ranges::any_of(sockets, [](folly::AsyncServerSocket* socket) {
    bool waits = false;
    // There it is between two connections, each accepted and handed on.
    socket->getEventBase()->runInEventBaseThreadAndWait([&] {
      for (const auto& each : socket->getNetworkSockets()) {
        ::pollfd polled{each.toFd(), POLLIN, 0};
        waits = waits || ::poll(&polled, 1, 0) > 0;
      }
    });
    return waits;
  });
}

}  // namespace prowingen::proxygen_engine
