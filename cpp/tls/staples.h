// OCSP responses that a handshake carries (RFC 6066 section 8, RFC 6960): an authority's word that
// a certificate is not revoked, from files that another program keeps up to date.
//
// A file belongs to the certificate that its response is about; their order means nothing.
#pragma once

#include <openssl/ssl.h>

#include <ctime>
#include <string>
#include <vector>

#include "tls/credentials.h"

namespace prowingen::tls {

/// Constant once read: any thread.
class Staples {
 public:
  Staples() = default;
  /// Throws std::invalid_argument that names the file and what is wrong with it.
  Staples(const std::vector<std::string>& files, const std::vector<Credentials>& all);

  struct Staple {
    std::string file;
    const X509* certificate;
    std::string response;   // DER
    std::time_t until = 0;  // 0: it does not say
    bool outdated(std::time_t now) const { return until != 0 && until <= now; }
  };

  const std::vector<Staple>& all() const { return staples_; }
  /// Gives a connection the response about the certificate that it uses, unless it is out of date:
  /// what SSL_CTX_set_tlsext_status_cb() wants to be returned.
  int give(SSL* connection) const;

 private:
  std::vector<Staple> staples_;
};

}  // namespace prowingen::tls
