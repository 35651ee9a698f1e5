#include "tls/client_certificates.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <ctime>
#include <memory>
#include <new>
#include <stdexcept>

#include "tls/credentials.h"
#include "tls/faults.h"
#include "tls/openssl_types.h"

namespace prowingen::tls {
namespace {

using Revoked = std::unique_ptr<X509_CRL, FreeBy<X509_CRL_free>>;
using Outdated = std::vector<std::pair<std::string, std::string>>;

// Of the authorities a client is told the names: it may have several certificates.
void trust(SSL_CTX* context, const std::string& path, std::string_view text) {
  const Bio bio = reader_of(text);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  bool found = false;
  while (const Certificate authority{PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)}) {
    if (X509_STORE_add_cert(store, authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1) {
      refuse_unreadable("ca_certs", path, "certificate");
    }
    found = true;
  }
  if (!found || !found_nothing()) refuse_unreadable("ca_certs", path, "certificate");
  ERR_clear_error();
}

void refuse_revoked(SSL_CTX* context, const std::string& path, std::string_view text,
                    Outdated& outdated) {
  const Bio bio = reader_of(text);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  bool found = false;
  while (const Revoked list{PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)}) {
    if (X509_STORE_add_crl(store, list.get()) != 1) {
      refuse_unreadable("crl", path, "list of revoked certificates");
    }
    const std::time_t next = time_of(X509_CRL_get0_nextUpdate(list.get()));
    if (next != 0 && next < std::time(nullptr)) {
      outdated.emplace_back(path, text_of(X509_CRL_get_issuer(list.get())));
    }
    found = true;
  }
  if (!found || !found_nothing()) refuse_unreadable("crl", path, "list of revoked certificates");
  ERR_clear_error();
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

// A resumed session is not asked for its certificate again: so it must have been begun under the
// same demands, whichever process made its ticket, and with whatever configuration.
void tell_sessions_apart(SSL_CTX* context, const std::string& demands) {
  std::array<unsigned char, SSL_MAX_SID_CTX_LENGTH> digest;
  unsigned size = 0;
  if (EVP_Digest(demands.data(), demands.size(), digest.data(), &size, EVP_sha256(), nullptr) !=
          1 ||
      SSL_CTX_set_session_id_context(context, digest.data(), size) != 1) {
    throw std::invalid_argument("certfile: OpenSSL: " + last_error());
  }
}

}  // namespace

Outdated want_client_certificates(SSL_CTX* context, const Options& options) {
  Outdated outdated;
  std::string demands = options.cert_reqs;
  if (options.cert_reqs != "none") {
    if (options.ca_certs.empty()) {
      refuse("cert_reqs", options.cert_reqs, "it needs ca_certs, whose certificates are trusted");
    }
    const std::string authorities = read_file("ca_certs", options.ca_certs);
    trust(context, options.ca_certs, authorities);
    demands += authorities;
    for (const auto& path : options.crl) {
      const std::string lists = read_file("crl", path);
      refuse_revoked(context, path, lists, outdated);
      demands += lists;
    }
    const bool required = options.cert_reqs == "required";
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
  }
  tell_sessions_apart(context, demands);
  return outdated;
}

}  // namespace prowingen::tls
