// fizz's choice of a certificate: that of the TCP connections, by the names that a certificate is
// for and the kinds of keys that its client can verify (tls/server_names.h).
#pragma once

#include <fizz/server/CertManager.h>

#include <memory>
#include <string>
#include <vector>

#include "tls/served.h"
#include "tls/server_names.h"

namespace prowingen::proxygen_engine {

/// Constant once made: any thread.
class Http3Certificates final : public fizz::server::CertManager {
 public:
  /// Throws std::invalid_argument if fizz cannot use one of them.
  explicit Http3Certificates(const tls::Served& served);

  fizz::Status getCert(fizz::CertMatch& found, fizz::Error& error,
                       const folly::Optional<std::string>& name,
                       const std::vector<fizz::SignatureScheme>& ours,
                       const std::vector<fizz::SignatureScheme>& theirs,
                       const fizz::ClientHello& hello) const override;
  /// Of a session that is resumed.
  std::shared_ptr<fizz::SelfCert> getCert(const std::string& identity) const override;

 private:
  const tls::ServerNames names_;
  std::vector<std::shared_ptr<fizz::SelfCert>> certificates_;
};

}  // namespace prowingen::proxygen_engine
