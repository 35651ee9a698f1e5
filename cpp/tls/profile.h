// What is spoken: versions, cipher suites and groups, after Mozilla's Server Side TLS
// guideline 5.7.
//
// Beyond it X25519MLKEM768 goes first among the groups where OpenSSL has it (3.5): what is recorded
// today is then no prey of a quantum computer of tomorrow.
#pragma once

#include <openssl/ssl.h>

#include "core/options.h"

namespace prowingen::tls {

/// By tls_profile; tls_min_version and ciphers win over it. Throws std::invalid_argument.
void apply_profile(SSL_CTX* context, const Options& options);

}  // namespace prowingen::tls
