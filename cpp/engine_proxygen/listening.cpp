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
  }
}

void Listening::end() {
  const std::lock_guard lock(mutex_);
  sockets_.clear();
}

void Listening::update(const std::function<bool()>& has_room) {
  const std::lock_guard lock(mutex_);
  const bool on = has_room();
  if (std::exchange(accepts_, on) == on) return;
  for (auto* socket : sockets_) {
    socket->getEventBase()->runInEventBaseThread([this, socket, on] {
      const std::lock_guard still(mutex_);
      if (std::ranges::find(sockets_, socket) == sockets_.end()) return;  // closed by now
      on ? socket->startAccepting() : socket->pauseAccepting();
    });
  }
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
