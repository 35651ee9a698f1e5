#include "tls/profile.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tls/faults.h"

namespace prowingen::tls {
namespace {

struct Profile {
  std::string_view name;
  int oldest;
  const char* ciphers;       // up to TLS 1.2
  std::uint64_t preference;  // whose: the client's, who knows its hardware, or the server's
};

constexpr const char* intermediate_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";

// SECLEVEL=0: OpenSSL 3 has no signature for TLS 1.0 and 1.1 above it.
constexpr std::array<Profile, 3> profiles{{
    // The ciphers are for who sets tls_min_version to 1.2 beside it.
    {"modern", TLS1_3_VERSION, intermediate_ciphers, 0},
    {"intermediate", TLS1_2_VERSION, intermediate_ciphers, 0},
    {"old", TLS1_VERSION,
     "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
     "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
     "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305:"
     "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:"
     "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:"
     "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:DHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256:"
     "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA:"
     "DES-CBC3-SHA:@SECLEVEL=0",
     SSL_OP_CIPHER_SERVER_PREFERENCE},
}};

constexpr const char* suites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

constexpr const char* groups = "X25519:prime256v1:secp384r1";

const Profile& profile_of(const Options& options) {
  const auto found = std::ranges::find(profiles, options.tls_profile, &Profile::name);
  if (found == profiles.end()) {
    refuse("tls_profile", options.tls_profile, "it is no profile");
  }
  return *found;
}

[[noreturn]] void refuse_context() {
  throw std::invalid_argument("tls_profile: OpenSSL: " + last_error());
}

void use_groups(SSL_CTX* context) {
  std::string usual(groups);  // the macro takes no const
  std::string hybrid = "X25519MLKEM768:" + usual;
  if (SSL_CTX_set1_groups_list(context, hybrid.data()) == 1) return;
  ERR_clear_error();
  if (SSL_CTX_set1_groups_list(context, usual.data()) != 1) refuse_context();
}

}  // namespace

void apply_profile(SSL_CTX* context, const Options& options) {
  const Profile& profile = profile_of(options);
  int oldest = profile.oldest;
  if (options.tls_min_version == "1.2") oldest = TLS1_2_VERSION;
  if (options.tls_min_version == "1.3") oldest = TLS1_3_VERSION;
  if (SSL_CTX_set_min_proto_version(context, oldest) != 1) refuse_context();
  SSL_CTX_set_options(context, profile.preference);
  if (SSL_CTX_set_ciphersuites(context, suites) != 1) refuse_context();
  if (!options.ciphers.empty()) {
    if (SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) != 1) {
      ERR_clear_error();
      refuse("ciphers", options.ciphers, "OpenSSL knows no cipher suite of TLS 1.2 in it");
    }
  } else if (SSL_CTX_set_cipher_list(context, profile.ciphers) != 1) {
    refuse_context();
  }
  SSL_CTX_set_dh_auto(context, 1);  // as strong as the certificate's key
  use_groups(context);
}

}  // namespace prowingen::tls
