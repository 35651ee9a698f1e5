#include "tls/staples.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include <algorithm>
#include <memory>

#include "tls/faults.h"

namespace prowingen::tls {
namespace {

using Response = std::unique_ptr<OCSP_RESPONSE, FreeBy<OCSP_RESPONSE_free>>;
using Basic = std::unique_ptr<OCSP_BASICRESP, FreeBy<OCSP_BASICRESP_free>>;

bool is_about(const OCSP_SINGLERESP* single, const X509* certificate) {
  // Its issuer is known by hashes; a serial number is unique for one, and hard to guess since 2008.
  ASN1_INTEGER* serial = nullptr;
  OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial,
                    const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single)));
  return ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0;
}

std::time_t next_update(OCSP_SINGLERESP* single) {
  ASN1_GENERALIZEDTIME* next = nullptr;
  OCSP_single_get0_status(single, nullptr, nullptr, nullptr, &next);
  return time_of(next);
}

}  // namespace

Staples::Staples(const std::vector<std::string>& files, const std::vector<Credentials>& all) {
  for (const auto& file : files) {
    Staple staple{file, nullptr, read_file("ocsp_file", file)};
    const Response response(d2i_OCSP_RESPONSE_bio(reader_of(staple.response).get(), nullptr));
    ERR_clear_error();
    if (!response) refuse("ocsp_file", file, "it is no OCSP response (DER)");
    const int status = OCSP_response_status(response.get());
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
      refuse("ocsp_file", file,
             std::string("the authority has not answered: ") + OCSP_response_status_str(status));
    }
    const Basic basic(OCSP_response_get1_basic(response.get()));
    ERR_clear_error();
    for (int i = 0; basic && i < OCSP_resp_count(basic.get()); ++i) {
      OCSP_SINGLERESP* const single = OCSP_resp_get0(basic.get(), i);
      const auto about = std::ranges::find_if(all, [&](const Credentials& credentials) {
        return is_about(single, credentials.certificate.get());
      });
      if (about == all.end()) continue;
      staple.certificate = about->certificate.get();
      staple.until = next_update(single);
    }
    if (staple.certificate == nullptr) {
      refuse("ocsp_file", file, "it is about no certificate in certfile");
    }
    staples_.push_back(std::move(staple));
  }
}

int Staples::give(SSL* connection) const {
  const X509* const used = SSL_get_certificate(connection);
  const auto found = std::ranges::find(staples_, used, &Staple::certificate);
  if (found == staples_.end() || found->outdated(std::time(nullptr))) return SSL_TLSEXT_ERR_NOACK;
  // OpenSSL frees it with its own allocator.
  void* copy = OPENSSL_memdup(found->response.data(), found->response.size());
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(connection, copy, static_cast<long>(found->response.size()));
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace prowingen::tls
