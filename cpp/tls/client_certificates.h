// Whose certificates are wanted of clients: the options cert_reqs, ca_certs and crl.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <utility>
#include <vector>

#include "core/options.h"

namespace prowingen::tls {

/// Throws std::invalid_argument that names the option, the file and what is wrong with it.
///
/// Returns each list of revoked certificates that is out of date, with the file that it is in: with
/// it no certificate of its authority is accepted.
std::vector<std::pair<std::string, std::string>> want_client_certificates(SSL_CTX* context,
                                                                          const Options& options);

}  // namespace prowingen::tls
