#include "engine_proxygen/http3_tls.h"

#include <fizz/server/AeadTicketCipher.h>
#include <fizz/server/TicketCodec.h>
#include <folly/Random.h>
#include <quic/server/state/ServerStateMachine.h>

#include <array>
#include <exception>
#include <utility>

#include "engine_proxygen/http3_certificates.h"
#include "tls/served.h"

namespace prowingen::proxygen_engine {
namespace {

std::string_view suite(fizz::CipherSuite cipher) {
  switch (cipher) {
    case fizz::CipherSuite::TLS_AES_128_GCM_SHA256: return "TLS_AES_128_GCM_SHA256";
    case fizz::CipherSuite::TLS_AES_256_GCM_SHA384: return "TLS_AES_256_GCM_SHA384";
    case fizz::CipherSuite::TLS_CHACHA20_POLY1305_SHA256: return "TLS_CHACHA20_POLY1305_SHA256";
    default: return "";
  }
}

std::shared_ptr<const fizz::server::FizzServerContext> make(const SSL_CTX& openssl) {
  const auto certificates = std::make_shared<Http3Certificates>(tls::served_by(&openssl));
  const auto context = std::make_shared<fizz::server::FizzServerContext>();
  context->setCertManager(certificates);
  context->setSupportedAlpns({"h3"});
  context->setAlpnMode(fizz::server::AlpnMode::Required);
  context->setVersionFallbackEnabled(false);
  using Tickets = fizz::server::Aead128GCMTicketCipher<
      fizz::server::TicketCodec<fizz::server::CertificateStorage::X509>>;
  const auto tickets = std::make_shared<Tickets>(context->getFactoryPtr(), certificates);
  std::array<std::uint8_t, 32> secret{};
  folly::Random::secureRandom(secret.data(), secret.size());
  tickets->setTicketSecrets({{folly::range(secret)}});
  context->setTicketCipher(tickets);
  context->setSendNewSessionTicket(true);
  return context;
}

}  // namespace

QuicTls::QuicTls(const EngineContext& context)
    : context_(context), made_of_(context.tls->current()), made_(make(*made_of_)) {}

std::shared_ptr<const fizz::server::FizzServerContext> QuicTls::current() {
  const std::lock_guard lock(mutex_);
  auto wanted = context_.tls->current();
  if (wanted == made_of_) return made_;
  made_of_ = std::move(wanted);
  try {
    made_ = make(*made_of_);
  } catch (const std::exception& error) {
    context_.report(Severity::error, error.what());
  }
  return made_;
}

std::shared_ptr<const TlsFacts> facts_of(const quic::QuicSocket& socket) {
  auto facts = std::make_shared<TlsFacts>();
  facts->protocol = "TLSv1.3";  // RFC 9001 section 4.2
  const auto* connection = dynamic_cast<const quic::QuicServerConnectionState*>(socket.getState());
  if (connection == nullptr || connection->serverHandshakeLayer == nullptr) return facts;
  const auto& state = connection->serverHandshakeLayer->getState();
  if (state.cipher()) facts->cipher = suite(*state.cipher());
  if (const auto* log = state.handshakeLogging(); log != nullptr && log->clientSni) {
    facts->server_name = *log->clientSni;
  }
  return facts;
}

}  // namespace prowingen::proxygen_engine
