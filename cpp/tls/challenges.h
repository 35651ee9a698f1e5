// Answers to an authority that is about to issue a certificate, and wants to see that who asks for
// it answers for its name (RFC 8555 section 8): files that whoever asks leaves in one folder.
//
//    NAME.pem   tls-alpn-01 (RFC 8737): a certificate for that name, with its key
//    TOKEN      http-01: what is answered to GET /.well-known/acme-challenge/TOKEN
//
// They are looked for when somebody asks as an authority does, and so whichever process of a server
// is asked has them, at once.
#pragma once

#include <openssl/ssl.h>

#include <optional>
#include <string>
#include <string_view>

#include "tls/openssl_types.h"

namespace prowingen::tls {

struct ChallengeCertificate {
  Certificate certificate;
  Key key;
};

/// Nothing if there is none, or it cannot be read. `folder`: empty for none.
std::optional<ChallengeCertificate> challenge_certificate(const std::string& folder,
                                                          std::string_view name);

}  // namespace prowingen::tls
