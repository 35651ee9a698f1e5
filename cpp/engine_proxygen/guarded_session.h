// What this engine has of a session whose codec is proxygen's own: that of HTTP/3.
#pragma once

#include <memory>

#include "core/memory_budget.h"
#include "engine_proxygen/exchange.h"

namespace prowingen::proxygen_engine {

/// I/O thread only.
class GuardedSession {
 public:
  GuardedSession() = default;
  GuardedSession(const GuardedSession&) = delete;
  GuardedSession& operator=(const GuardedSession&) = delete;

  /// The stream is over. It counts for as long as a worker is on its request: else a client could
  /// have the workers do any number of them (CVE-2023-44487).
  virtual void keep_counting(const std::shared_ptr<HandledExchange>& exchange) = 0;
  /// Whether what comes on a stream is read; else its window closes.
  virtual void read_stream(std::uint64_t stream, bool reads) = 0;
  /// The answer is over, and the client may go on: soon it is asked to stop, and nothing more
  /// comes.
  virtual void stop_reading(std::uint64_t stream) = 0;

  // ---- memory: what has come and is not read, or is a part of a frame; see Handler
  /// Now and then: nobody tells when something comes that cannot be read yet.
  virtual void settle_charge() = 0;
  virtual MemoryHolding memory_held(SteadyTime now) const = 0;
  /// Ends the connection. False: that has happened.
  virtual bool give_up() = 0;

 protected:
  ~GuardedSession() = default;
};

}  // namespace prowingen::proxygen_engine
