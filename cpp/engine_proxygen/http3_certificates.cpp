#include "engine_proxygen/http3_certificates.h"

#include <fizz/backend/openssl/certificate/CertUtils.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tls/credentials.h"

namespace prowingen::proxygen_engine {
namespace {

template <typename Owner, typename Thing>
Owner owned(Thing* thing, int (*take)(Thing*)) {
  take(thing);
  return Owner(thing);
}

std::unique_ptr<fizz::SelfCert> certificate_of(const tls::Credentials& credentials) {
  using Certificate = folly::ssl::X509UniquePtr;
  std::vector<Certificate> chain;
  chain.push_back(owned<Certificate>(credentials.certificate.get(), X509_up_ref));
  for (int i = 0; i < sk_X509_num(credentials.chain.get()); ++i) {
    chain.push_back(owned<Certificate>(sk_X509_value(credentials.chain.get(), i), X509_up_ref));
  }
  auto key = owned<folly::ssl::EvpPkeyUniquePtr>(credentials.key.get(), EVP_PKEY_up_ref);
  std::unique_ptr<fizz::SelfCert> made;
  fizz::Error error;
  if (fizz::openssl::CertUtils::makeSelfCert(made, error, std::move(chain), std::move(key)) !=
      fizz::Status::Success) {
    throw std::invalid_argument("certfile: \"" + credentials.file +
                                "\": HTTP/3 cannot use it: " + std::string(error.msg()));
  }
  return made;
}

bool has(const std::vector<fizz::SignatureScheme>& schemes, fizz::SignatureScheme scheme) {
  return std::ranges::find(schemes, scheme) != schemes.end();
}

}  // namespace

Http3Certificates::Http3Certificates(const tls::Served& served) : names_(served.names) {
  for (const tls::Credentials& credentials : served.credentials) {
    certificates_.push_back(certificate_of(credentials));
  }
}

fizz::Status Http3Certificates::getCert(fizz::CertMatch& found, fizz::Error&,
                                        const folly::Optional<std::string>& name,
                                        const std::vector<fizz::SignatureScheme>& ours,
                                        const std::vector<fizz::SignatureScheme>& theirs,
                                        const fizz::ClientHello&) const {
  const auto& choice = name ? names_.of(*name) : names_.otherwise();
  const auto match =
      choice == names_.otherwise() ? fizz::MatchType::Default : fizz::MatchType::Direct;
  found = folly::none;
  for (const auto scheme : ours) {
    if (!has(theirs, scheme)) continue;
    for (const std::size_t index : choice) {
      if (!has(certificates_[index]->getSigSchemes(), scheme)) continue;
      found = fizz::CertMatchStruct{certificates_[index], scheme, match};
      return fizz::Status::Success;
    }
  }
  return fizz::Status::Success;
}

std::shared_ptr<fizz::SelfCert> Http3Certificates::getCert(const std::string& identity) const {
  const auto found = std::ranges::find_if(
      certificates_, [&](const auto& one) { return one->getIdentity() == identity; });
  return found != certificates_.end() ? *found : nullptr;
}

}  // namespace prowingen::proxygen_engine
