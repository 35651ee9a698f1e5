// A server's certificates: each with those that lead to its authority, and its key, read from the
// options certfile, keyfile and keyfile_password.
//
// The n-th keyfile is the key of the n-th certfile; without any, each certfile has its own in it,
// as a PKCS#12 file always does.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "tls/openssl_types.h"

namespace prowingen::tls {

/// Constant once read.
struct Credentials {
  std::string file;
  Certificate certificate;
  Chain chain;
  Key key;
  /// Of hosts, in lower case: those of subjectAltName (RFC 6125), or the common name without them.
  std::vector<std::string> names;
  std::time_t expires = 0;

  /// "RSA", "EC", …: a connection has use for one of each.
  std::string_view key_type() const { return EVP_PKEY_get0_type_name(key.get()); }
  /// What it is called in a message.
  std::string name() const;
  /// The same objects once more.
  Credentials shared() const;
};

/// Throws std::invalid_argument that names the option, the file and what is wrong with it.
std::vector<Credentials> read_credentials(const Options& options);

/// The same, where what was read `before` stands in for what cannot be used now: one bad file does
/// not hold up the others. What would be thrown goes to `faults`, unless nothing can be used.
std::vector<Credentials> read_credentials_anew(const Options& options,
                                               const std::vector<Credentials>& before,
                                               std::vector<std::string>& faults);

/// A time as OpenSSL has it; 0 if it is none.
std::time_t time_of(const ASN1_TIME* time);

}  // namespace prowingen::tls
