// The TLS of QUIC (RFC 9001): fizz, with the certificates that the TCP connections have.
#pragma once

#include <fizz/server/FizzServerContext.h>
#include <quic/api/QuicSocket.h>

#include <memory>
#include <mutex>

#include "core/engine.h"
#include "tls/context.h"

namespace prowingen::proxygen_engine {

/// Any thread.
class QuicTls {
 public:
  /// Throws std::invalid_argument if fizz cannot use a certificate.
  explicit QuicTls(const EngineContext& context);

  /// For a connection that begins. What fizz cannot use of certificates that were renewed leaves
  /// those before in use, and is said once.
  std::shared_ptr<const fizz::server::FizzServerContext> current();

 private:
  const EngineContext& context_;
  std::mutex mutex_;  // guards what follows
  std::shared_ptr<SSL_CTX> made_of_;
  std::shared_ptr<const fizz::server::FizzServerContext> made_;
};

/// What is known of a connection when its handshake is done.
std::shared_ptr<const TlsFacts> facts_of(const quic::QuicSocket& socket);

}  // namespace prowingen::proxygen_engine
