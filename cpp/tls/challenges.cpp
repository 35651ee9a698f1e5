#include "tls/challenges.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <stdexcept>

#include "tls/faults.h"
#include "tls/server_names.h"

namespace prowingen::tls {
namespace {

// What may be part of a path; no name of a host's is refused.
bool is_file_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

}  // namespace

std::optional<ChallengeCertificate> challenge_certificate(const std::string& folder,
                                                          std::string_view name) {
  const auto wanted = normalized_name(name);
  if (folder.empty() || !is_file_name(wanted)) return std::nullopt;
  std::string text;
  try {
    text = read_file("acme_folder", folder + "/challenges/" + wanted + ".pem");
  } catch (const std::invalid_argument&) {
    return std::nullopt;  // the usual: of names that nobody has asked a certificate for
  }
  ERR_clear_error();
  std::string no_password;
  ChallengeCertificate read{
      Certificate(PEM_read_bio_X509(reader_of(text).get(), nullptr, nullptr, nullptr)),
      Key(PEM_read_bio_PrivateKey(reader_of(text).get(), nullptr, nullptr, no_password.data()))};
  ERR_clear_error();
  if (!read.certificate || !read.key) return std::nullopt;
  return read;
}

}  // namespace prowingen::tls
