// How often a session reads its socket in one event, before others have their turn.
#pragma once

#include <cstdint>
#include <utility>

#include "engine_proxygen/compat.h"
#include "engine_proxygen/event_thread.h"

namespace prowingen::proxygen_engine {

/// A codec's, of a session on a socket. I/O thread only.
class ReadShare {
 public:
  /// Input has come: for the next event.
  void renew(const EventThread& thread, px::HTTPSessionBase& session) {
    const auto reads = thread.reads_per_event();
    if (std::exchange(reads_, reads) == reads) return;
    session.getTransport()->getUnderlyingTransport<folly::AsyncSocket>()->setMaxReadsPerEvent(
        reads);
  }

 private:
  std::uint16_t reads_ = 0;  // that the socket knows of
};

}  // namespace prowingen::proxygen_engine
