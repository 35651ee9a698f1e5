// How much a session reads from its socket at once, and how often in one event, before others have
// their turn.
#pragma once

#include <cstdint>
#include <utility>

#include "engine_proxygen/compat.h"
#include "engine_proxygen/event_thread.h"

namespace prowingen::proxygen_engine {

/// Octets of one read, of proxygen's own 4,000: a body of 64 KiB costs a quarter less with it, and
/// a small request nothing. It is also what is taken in before a shortage of memory is looked at.
inline constexpr std::uint32_t read_size = 16 * 1024;

/// For all sessions of this process that begin from now on.
inline void enlarge_reads() {
  [[maybe_unused]] static const bool done = [] {
    px::HTTPSessionBase::setMaxReadBufferSize(read_size);
    return true;
  }();
}

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
