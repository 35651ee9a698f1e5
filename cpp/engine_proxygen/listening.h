// The listening sockets of a proxygen server, which take connections as long as there is room.
#pragma once

#include <folly/io/async/AsyncServerSocket.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// Any thread, unless stated otherwise.
class Listening final : private folly::AsyncServerSocket::ConnectionEventCallback {
 public:
  /// Is told how many connections were just taken, and says for how long the next one is left to
  /// other processes. The thread that takes them.
  using OthersFirst = std::function<std::chrono::milliseconds(unsigned taken)>;

  /// `others_first`: empty where there are no others.
  explicit Listening(OthersFirst others_first) : others_first_(std::move(others_first)) {}

  /// The server has started.
  void begin(const px::HTTPServer& server);
  /// Has them take no more, for good; none is on its way to folly any more when it returns. Not for
  /// a socket's own thread.
  void pause();
  /// The server is about to close them.
  void end();
  /// Has them take connections or not. Asks `has_room` under the lock: the last answer is the one
  /// that stays.
  void update(const std::function<bool()>& has_room);
  /// Whether a connection waits in the kernel that would be taken. Not for a socket's own thread.
  bool has_waiting() const;

 private:
  void onConnectionAccepted(const folly::NetworkSocket,
                            const folly::SocketAddress&) noexcept override;
  void onConnectionAcceptError(int) noexcept override {}
  void onConnectionDropped(const folly::NetworkSocket, const folly::SocketAddress&,
                           const std::string&) noexcept override {}
  void onConnectionEnqueuedForAcceptorCallback(const folly::NetworkSocket,
                                               const folly::SocketAddress&) noexcept override {}
  void onConnectionDequeuedByAcceptorCallback(const folly::NetworkSocket,
                                              const folly::SocketAddress&) noexcept override {}
  void onBackoffStarted() noexcept override {}
  void onBackoffEnded() noexcept override {}
  void onBackoffError() noexcept override {}
  void give_way(std::chrono::milliseconds turn);
  bool is_open(const folly::AsyncServerSocket* socket) const;

  mutable std::mutex mutex_;  // guards the list: a socket on it is open
  std::vector<folly::AsyncServerSocket*> sockets_;
  bool accepts_ = true;
  bool over_ = false;  // none is accepted any more
  bool gives_way_ = false;
  const OthersFirst others_first_;
};

}  // namespace prowingen::proxygen_engine
