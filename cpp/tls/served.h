// What one reading of the files has found, and an SSL_CTX that serves it.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <utility>
#include <vector>

#include "tls/credentials.h"
#include "tls/server_names.h"
#include "tls/staples.h"

namespace prowingen::tls {

/// Constant once attached to an SSL_CTX, and ends with it: after the last connection that began
/// with it, whatever has been read since.
struct Served {
  std::vector<Credentials> credentials;
  ServerNames names;
  Staples staples;
  /// Where answers to authorities are; empty: nowhere.
  std::string challenges;
  /// Lists of revoked certificates that are out of date: the file, and whose list it is.
  std::vector<std::pair<std::string, std::string>> outdated_lists;
};

/// Has an SSL_CTX's connections use the certificates that their clients' names mean, and those of
/// an authority the answer to its challenge.
void serve(SSL_CTX* context, std::unique_ptr<Served> served);

const Served& served_by(const SSL_CTX* context);

/// Gives a connection the answer that its authority wants, if there is one. Whether it has it. With
/// TLS 1.3 protocols are chosen before certificates, and with 1.2 after them: the first one asks.
bool answer_challenge(SSL* connection);

/// Whether a connection was given such an answer, or a part of it. Then nobody has asked its client
/// for a certificate: it serves nothing, whatever else has been agreed on.
bool was_answered(const SSL& connection);

}  // namespace prowingen::tls
