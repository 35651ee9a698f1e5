// The listening sockets of a proxygen server, which take connections as long as there is room.
#pragma once

#include <folly/io/async/AsyncServerSocket.h>

#include <functional>
#include <mutex>
#include <vector>

#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// Any thread, unless stated otherwise.
class Listening {
 public:
  /// The server has started.
  void begin(const px::HTTPServer& server);
  /// The server is about to close them.
  void end();
  /// Has them take connections or not. Asks `has_room` under the lock: the last answer is the one
  /// that stays.
  void update(const std::function<bool()>& has_room);
  /// Whether a connection waits in the kernel that would be taken. Not for a socket's own thread.
  bool has_waiting() const;

 private:
  mutable std::mutex mutex_;  // guards the list: a socket on it is open
  std::vector<folly::AsyncServerSocket*> sockets_;
  bool accepts_ = true;
};

}  // namespace prowingen::proxygen_engine
