// The TLS of QUIC (RFC 9001): fizz, with the certificate that the TCP connections have.
#pragma once

#include <fizz/server/FizzServerContext.h>
#include <quic/api/QuicSocket.h>

#include <memory>

#include "tls/context.h"

namespace prowingen::proxygen_engine {

/// Throws std::invalid_argument if fizz cannot use the certificate.
std::shared_ptr<const fizz::server::FizzServerContext> quic_tls(const tls::Context& tls);

/// What is known of a connection when its handshake is done.
std::shared_ptr<const TlsFacts> facts_of(const quic::QuicSocket& socket);

}  // namespace prowingen::proxygen_engine
