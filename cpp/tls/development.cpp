#include "tls/development.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>

#include "tls/faults.h"
#include "tls/openssl_types.h"

namespace prowingen::tls {
namespace {

using Extension = std::unique_ptr<X509_EXTENSION, FreeBy<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, FreeBy<BN_free>>;

constexpr long day = 24 * 60 * 60;
constexpr long authority_lasts = 3650 * day;
constexpr long certificate_lasts = 365 * day;
constexpr long clocks_differ = day;
constexpr const char* development = "prowingen for development";

void check(bool done) {
  if (!done) throw std::runtime_error("OpenSSL makes no certificate: " + last_error());
}

Key new_key() {
  std::string curve = "P-256";  // C takes no const
  Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve.data()));
  check(key != nullptr);
  return key;
}

void set_random_serial(X509* certificate) {
  const Number number(BN_new());
  constexpr int bits = 127;  // at most 20 octets, and positive (RFC 5280 section 4.1.2.2)
  check(number && BN_rand(number.get(), bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
        BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr);
}

void add_name(X509_NAME* name, const char* field, const char* text) {
  check(X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(text), -1, -1, 0) == 1);
}

Certificate begun(EVP_PKEY* key, const char* organization, const char* name, long lasts) {
  Certificate made(X509_new());
  X509* const certificate = made.get();
  check(certificate != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -clocks_differ) != nullptr &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), lasts) != nullptr &&
        X509_set_pubkey(certificate, key) == 1);
  set_random_serial(certificate);
  add_name(X509_get_subject_name(certificate), "O", organization);
  add_name(X509_get_subject_name(certificate), "CN", name);
  return made;
}

// In OpenSSL's notation: x509v3_config(5).
void add_extensions(X509* certificate, X509* issuer,
                    std::initializer_list<std::pair<int, const char*>> extensions) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const auto& [kind, text] : extensions) {
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, text));
    check(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
  }
}

Pair written(X509* certificate, EVP_PKEY* key) {
  const Bio public_part(BIO_new(BIO_s_mem()));
  const Bio secret_part(BIO_new(BIO_s_mem()));
  check(public_part && secret_part && PEM_write_bio_X509(public_part.get(), certificate) == 1 &&
        PEM_write_bio_PrivateKey(secret_part.get(), key, nullptr, nullptr, 0, nullptr, nullptr) ==
            1);
  return {text_of(public_part.get()), text_of(secret_part.get())};
}

}  // namespace

Pair new_development_authority() {
  ERR_clear_error();
  const Key key = new_key();
  const Certificate made =
      begun(key.get(), development, "prowingen's local authority", authority_lasts);
  X509* const certificate = made.get();
  check(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1);
  add_extensions(certificate, certificate,
                 {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                  {NID_key_usage, "critical,keyCertSign"},
                  {NID_name_constraints,
                   "critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0,"
                   "permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
                  {NID_subject_key_identifier, "hash"}});
  check(X509_sign(certificate, key.get(), EVP_sha256()) != 0);
  return written(certificate, key.get());
}

Pair new_self_signed_certificate(const std::string& name) {
  ERR_clear_error();
  const Key key = new_key();
  const Certificate made = begun(key.get(), "prowingen", "not issued yet", certificate_lasts);
  X509* const certificate = made.get();
  check(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1);
  const std::string names = "DNS:" + name;
  add_extensions(certificate, certificate,
                 {{NID_basic_constraints, "critical,CA:FALSE"},
                  {NID_key_usage, "critical,digitalSignature"},
                  {NID_ext_key_usage, "serverAuth"},
                  {NID_subject_alt_name, names.c_str()}});
  check(X509_sign(certificate, key.get(), EVP_sha256()) != 0);
  return written(certificate, key.get());
}

Pair new_development_certificate(const Pair& authority) {
  ERR_clear_error();
  const Certificate issuer(
      PEM_read_bio_X509(reader_of(authority.certificate).get(), nullptr, nullptr, nullptr));
  std::string no_password;
  const Key issuers_key(PEM_read_bio_PrivateKey(reader_of(authority.key).get(), nullptr, nullptr,
                                                no_password.data()));
  const bool belongs =
      issuer && issuers_key && X509_check_private_key(issuer.get(), issuers_key.get()) == 1;
  ERR_clear_error();
  if (!belongs) throw std::invalid_argument("it is no authority with its key");
  const Key key = new_key();
  const Certificate made = begun(key.get(), development, "localhost", certificate_lasts);
  X509* const certificate = made.get();
  check(X509_set_issuer_name(certificate, X509_get_subject_name(issuer.get())) == 1);
  add_extensions(certificate, issuer.get(),
                 {{NID_basic_constraints, "critical,CA:FALSE"},
                  {NID_key_usage, "critical,digitalSignature"},
                  {NID_ext_key_usage, "serverAuth"},
                  {NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1"},
                  {NID_subject_key_identifier, "hash"},
                  {NID_authority_key_identifier, "keyid"}});
  check(X509_sign(certificate, issuers_key.get(), EVP_sha256()) != 0);
  return written(certificate, key.get());
}

}  // namespace prowingen::tls
