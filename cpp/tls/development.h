// Certificates that no other machine trusts: for development a local authority, and a certificate
// of it for this machine; and of a server that waits for an authority, its own.
//
// The local authority may vouch for localhost and loopback addresses alone (RFC 5280
// section 4.2.1.10), so that whoever gets hold of its key gains nothing on machines that trust it.
#pragma once

#include <string>

namespace prowingen::tls {

/// PEM.
struct Pair {
  std::string certificate;
  std::string key;
};

/// Valid for ten years. Throws std::runtime_error.
Pair new_development_authority();

/// Vouches for itself and this name, so that there is something to serve by until an authority has
/// issued a certificate; valid for a year. Throws std::runtime_error.
Pair new_self_signed_certificate(const std::string& name);

/// For localhost, 127.0.0.1 and ::1, valid for a year. Throws std::invalid_argument if the
/// authority is none.
Pair new_development_certificate(const Pair& authority);

}  // namespace prowingen::tls
