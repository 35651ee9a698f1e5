// A certificate that nobody else vouches for, made for one test.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "core/options.h"

namespace prowingen {

/// A certificate of its own, with its key, in one file.
class SelfSigned {
 public:
  SelfSigned() : path_(testing::TempDir() + "tls_stream_XXXXXX") {
    const int file = ::mkstemp(path_.data());
    std::FILE* out = ::fdopen(file, "w");
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    PEM_write_X509(out, certificate);
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~SelfSigned() { ::unlink(path_.c_str()); }
  SelfSigned(const SelfSigned&) = delete;
  SelfSigned& operator=(const SelfSigned&) = delete;

  const std::string& path() const { return path_; }
  Options options() const {
    Options options;
    options.certfile = {path_};
    return options;
  }

 private:
  std::string path_;
};

}  // namespace prowingen
