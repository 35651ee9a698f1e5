// Learns that a client has reset its connection while nothing is read from it: a session takes its
// socket out of the loop then, and would find out with the next write only.
//
//   paused, the first time --add()--> | epoll, of errors alone | --readable--> loop --> tell()
//
// The set is one of its own, beside the loop's: in that a socket has one place, whose interest is
// the session's, and libevent waits for none without one. Nothing is asked for, as errors and
// hang-ups are always told; each is told once, and costs a connection that lives nothing. A socket
// that is closed leaves the set by itself.
//
// Where there is no epoll it does nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include <folly/io/async/EventHandler.h>

#include "core/chunk.h"
#include "core/forks.h"
#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// I/O thread only.
class BrokenWatch final : private folly::EventHandler {
 public:
  /// `tell`: of a session that was added, which may be over by now, and another in its place.
  using Tell = std::function<void(px::HTTPSessionBase*)>;

  BrokenWatch(folly::EventBase& loop, Tell tell) : loop_(loop), tell_(std::move(tell)) {}

  /// Once for each session.
  void add(px::HTTPSessionBase& session, int socket);
  /// There is no session any more.
  void rest() { unregisterHandler(); }

 private:
  void handlerReady(std::uint16_t events) noexcept override;

  folly::EventBase& loop_;
  const Tell tell_;
  UniqueFd epoll_;
  std::optional<KeptFromChildren> kept_;
};

}  // namespace prowingen::proxygen_engine
