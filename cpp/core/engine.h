// What an engine is to the rest of the server: something that turns sockets into exchanges.
//
//   engine (I/O threads) --submit--> RequestSink (work queue) --> worker --> Exchange
//   engine (I/O threads) <--output_ready, body_wanted-- Transport <-- Exchange
//
// Both directions carry one thing only, a shared_ptr<Exchange>: the response itself is pulled by
// the I/O thread out of the exchange. A push of each piece would cost a queue entry and a wake-up
// for every chunk; pulling lets the pieces that gathered meanwhile leave in one system call.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/chunk.h"

namespace prowingen {

namespace tls {
class Context;
}

class AcceptShare;
class Activity;
class AccessLog;
class Exchange;
class MemoryBudget;
class Lead;
class Proxies;
class Spool;
class Tally;
struct Options;

/// Where an engine hands over requests that are ready for a worker. Any I/O thread.
class RequestSink {
 public:
  virtual ~RequestSink() = default;
  /// Queues exchanges, in this order, and returns how many: fewer when the queue is full, and the
  /// engine answers 503 to the others that are `receiving` still: who takes none for want of room
  /// may have answered some behind it without a worker. All requests that one look at the sockets
  /// brought belong into one call, since each call may wake a worker.
  virtual std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) = 0;
  /// About how long the workers need for what is queued. As long as that is, more requests are in
  /// no hurry: an I/O thread may let them gather.
  virtual std::chrono::nanoseconds backlog() const = 0;
};

/// The way back from a worker to the I/O thread that owns the exchange's connection. Any thread.
/// It lives as long as its engine, and an engine outlives every worker.
class Transport {
 public:
  virtual ~Transport() = default;
  /// The exchange has output to take. `more_soon` says that the caller goes straight on to other
  /// work that will end in further calls, so that waking a sleeping I/O thread may wait for them.
  virtual void output_ready(std::shared_ptr<Exchange> exchange, bool more_soon) = 0;
  /// A worker waits for body bytes: send `100 Continue` if that is due, and read on.
  virtual void body_wanted(std::shared_ptr<Exchange> exchange) = 0;
  /// A worker has nothing to send that a departure would be noticed by: end the exchange if its
  /// client is gone.
  virtual void client_doubted(std::shared_ptr<Exchange> exchange) = 0;
  /// Wakes the I/O thread if output was handed over with `more_soon` since it last ran.
  virtual void flush() = 0;
  /// Of the connection's sockets; null: workers never have it.
  virtual Lead* lead() { return nullptr; }
  /// What exchanges charge for the bytes they hold; null: nobody counts.
  virtual std::shared_ptr<MemoryBudget> memory() { return nullptr; }
};

/// A process's sockets on a UDP port, one for each I/O thread; see processes/datagram_steering.h.
struct DatagramSpec {
  std::vector<UniqueFd> sockets;
  std::uint16_t first = 0;  // the number of the first one of them
};

struct ListenerSpec {
  UniqueFd socket;          // bound and listening
  std::string description;  // as the user would write it: "http://127.0.0.1:8000", "unix:/path"
  DatagramSpec datagrams;   // on the same port, for HTTP/3; none without it
};

enum class Severity : std::uint8_t { debug = 10, info = 20, warning = 30, error = 40 };

/// What an engine needs from the server around it.
struct EngineContext {
  const Options& options;
  const Proxies& proxies;
  const tls::Context* tls;  // null: connections begin with HTTP
  RequestSink& sink;
  std::shared_ptr<MemoryBudget> memory;
  AccessLog* access_log = nullptr;  // null: no access log
  /// Reports something an administrator should know. Any thread, never blocks.
  std::function<void(Severity, std::string)> report;
  AcceptShare* accept_share = nullptr;  // null: no other process has the sockets
  std::shared_ptr<Spool> spool;         // where bodies that wait for their end are kept
  Tally* tally = nullptr;               // null: nobody wants to know what was done
  Activity* activity = nullptr;         // nor what was slow
};

struct EngineCounters {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_open = 0;
  // Of these, by what is spoken, once that is known.
  std::uint64_t connections_http1 = 0;
  std::uint64_t connections_http2 = 0;
  std::uint64_t connections_http3 = 0;
  std::uint64_t tls_handshakes = 0;  // that were completed
  std::uint64_t tls_failures = 0;    // that were not
  std::uint64_t exchanges_open = 0;
  std::uint64_t requests_refused = 0;  // answered by the engine itself with a 4xx or 5xx
  std::uint64_t protocol_errors = 0;   // connections of HTTP/2 and 3 that broke it, or flooded us
};

inline EngineCounters& operator+=(EngineCounters& sum, const EngineCounters& other) {
  sum.connections_accepted += other.connections_accepted;
  sum.connections_open += other.connections_open;
  sum.connections_http1 += other.connections_http1;
  sum.connections_http2 += other.connections_http2;
  sum.connections_http3 += other.connections_http3;
  sum.tls_handshakes += other.tls_handshakes;
  sum.tls_failures += other.tls_failures;
  sum.exchanges_open += other.exchanges_open;
  sum.requests_refused += other.requests_refused;
  sum.protocol_errors += other.protocol_errors;
  return sum;
}

class Engine {
 public:
  virtual ~Engine() = default;
  /// Starts the I/O threads and accepts connections. Once.
  virtual void start() = 0;
  /// Accepts no more, answers what is under way with `Connection: close`, closes idle connections.
  virtual void drain() = 0;
  /// True once a drain has left no connection. Any thread.
  virtual bool drained() const = 0;
  /// Closes everything now and joins the I/O threads. Idempotent.
  virtual void stop() = 0;
  /// Wakes I/O threads that batched output still waits for. Any thread.
  virtual void flush() = 0;
  virtual EngineCounters counters() const = 0;
  /// Of all sockets; null: workers never have it.
  virtual Lead* lead() { return nullptr; }
};

/// The one function an engine exports.
using EngineFactory = std::unique_ptr<Engine> (*)(EngineContext, std::vector<ListenerSpec>);

}  // namespace prowingen
