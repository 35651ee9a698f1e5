// Which sessions may be resumed: what was found in a handshake holds for one that skips it only as
// long as it would be found again.
//
// A session goes on with the name that it began with (RFC 6066 section 3, RFC 8446 section 4.6.1),
// and no longer than its client's certificate is valid; with TLS 1.3, where each resumption makes a
// new ticket, it might go on for ever. Whose certificates are wanted is in the session's context:
// see client_certificates.h. Any other client has the whole handshake.
#pragma once

#include <openssl/ssl.h>

namespace prowingen::tls {

/// Of connections whose names are kept, see server_names.h. Throws std::invalid_argument.
void judge_resumption(SSL_CTX* context);

}  // namespace prowingen::tls
