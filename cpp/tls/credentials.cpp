#include "tls/credentials.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

#include "tls/faults.h"
#include "tls/server_names.h"

namespace prowingen::tls {
namespace {

void free_names(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }
using GeneralNames = std::unique_ptr<GENERAL_NAMES, FreeBy<free_names>>;
using Pkcs12 = std::unique_ptr<PKCS12, FreeBy<PKCS12_free>>;

// The callback is always given: OpenSSL's own would ask at the terminal.
int give_password(char* buffer, int size, int, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  if (text.size() > static_cast<std::size_t>(size)) return -1;
  std::ranges::copy(text, buffer);
  return static_cast<int>(text.size());
}

int give_none(char*, int, int, void*) { return -1; }

bool is_encrypted(std::string_view text) {
  return text.find("BEGIN ENCRYPTED PRIVATE KEY") != std::string_view::npos ||
         text.find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos;
}

void add(Chain& chain, Certificate certificate) {
  if (!chain) chain.reset(sk_X509_new_null());
  if (!chain || sk_X509_push(chain.get(), certificate.get()) == 0) throw std::bad_alloc();
  static_cast<void>(certificate.release());
}

// ---------------------------------------------------------------------------- PEM

void read_chain(Credentials& into, std::string_view text) {
  const Bio bio = reader_of(text);
  into.certificate.reset(PEM_read_bio_X509_AUX(bio.get(), nullptr, give_none, nullptr));
  if (!into.certificate) refuse_unreadable("certfile", into.file, "certificate");
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, give_none, nullptr)}) {
    add(into.chain, std::move(next));
  }
  if (!found_nothing()) refuse_unreadable("certfile", into.file, "certificate");
  ERR_clear_error();
}

void read_key(Credentials& into, std::string_view text, const std::string& path, bool apart,
              const std::string& password) {
  const std::string_view option = apart ? "keyfile" : "certfile";
  const bool encrypted = is_encrypted(text);
  if (encrypted && password.empty()) {
    refuse(option, path, "the key is encrypted: give its password in keyfile_password");
  }
  into.key.reset(PEM_read_bio_PrivateKey(reader_of(text).get(), nullptr, give_password,
                                         const_cast<std::string*>(&password)));
  if (into.key && X509_check_private_key(into.certificate.get(), into.key.get()) == 1) return;
  if (into.key) {
    ERR_clear_error();
    refuse(option, path, "it is not the key of the certificate in certfile");
  }
  if (encrypted) {
    ERR_clear_error();
    refuse(option, path, "keyfile_password does not open it");
  }
  if (!apart && found_nothing()) {
    ERR_clear_error();
    refuse(option, path, "there is no private key (PEM) in it: name its file in keyfile");
  }
  refuse_unreadable(option, path, "private key");
}

// ---------------------------------------------------------------------------- PKCS#12 (RFC 7292)

// It begins with a sequence, PEM with text.
bool is_der(std::string_view text) { return text.starts_with('\x30'); }

void read_pkcs12(Credentials& into, std::string_view text, const std::string& password) {
  const Pkcs12 file(d2i_PKCS12_bio(reader_of(text).get(), nullptr));
  ERR_clear_error();
  if (!file) refuse("certfile", into.file, "it is neither PEM nor PKCS#12");
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* chain = nullptr;
  const bool read = PKCS12_parse(file.get(), password.c_str(), &key, &certificate, &chain) == 1;
  into.key.reset(key);
  into.certificate.reset(certificate);
  into.chain.reset(chain);
  if (!read) {
    const auto code = ERR_peek_last_error();
    if (ERR_GET_LIB(code) != ERR_LIB_PKCS12 ||
        ERR_GET_REASON(code) != PKCS12_R_MAC_VERIFY_FAILURE) {
      refuse("certfile", into.file, last_error());
    }
    ERR_clear_error();
    refuse("certfile", into.file,
           password.empty() ? "it is encrypted: give its password in keyfile_password"
                            : "keyfile_password does not open it");
  }
  if (!into.key) refuse("certfile", into.file, "there is no private key in it");
  if (!into.certificate) refuse("certfile", into.file, "there is no certificate of its key in it");
}

// ---------------------------------------------------------------------------- what is said in it

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  const GeneralNames alternatives(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) names.push_back(normalized_name(text_of(name->d.dNSName)));
  }
  if (alternatives) return names;
  X509_NAME* subject = X509_get_subject_name(certificate);
  for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
    names.push_back(
        normalized_name(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))));
  }
  return names;
}

Credentials read_one(const Options& options, std::size_t which) {
  const auto& keyfiles = options.keyfile;
  ERR_clear_error();
  Credentials read;
  read.file = options.certfile[which];
  const std::string text = read_file("certfile", read.file);
  const bool apart = !keyfiles.empty() && keyfiles[which] != read.file;
  if (is_der(text)) {
    if (apart) refuse("keyfile", keyfiles[which], "the key is in certfile, a PKCS#12 file");
    read_pkcs12(read, text, options.keyfile_password);
  } else {
    read_chain(read, text);
    const std::string& path = apart ? keyfiles[which] : read.file;
    read_key(read, apart ? read_file("keyfile", path) : text, path, apart,
             options.keyfile_password);
  }
  read.names = names_of(read.certificate.get());
  read.expires = time_of(X509_get0_notAfter(read.certificate.get()));
  return read;
}

}  // namespace

std::time_t time_of(const ASN1_TIME* time) {
  std::tm fields{};
  return time != nullptr && ASN1_TIME_to_tm(time, &fields) == 1 ? ::timegm(&fields) : 0;
}

std::string Credentials::name() const {
  if (names.empty()) return "no name";
  std::string all;
  for (const auto& each : names) all.append(all.empty() ? "" : ", ").append(each);
  // Of what is in a certificate nothing ends a line of the log.
  std::ranges::replace_if(
      all, [](char c) { return c < ' ' || c > '~'; }, '?');
  return all;
}

Credentials Credentials::shared() const {
  Credentials same{file, nullptr, nullptr, nullptr, names, expires};
  X509_up_ref(certificate.get());
  same.certificate.reset(certificate.get());
  EVP_PKEY_up_ref(key.get());
  same.key.reset(key.get());
  if (chain) {
    same.chain.reset(X509_chain_up_ref(chain.get()));
    if (!same.chain) throw std::bad_alloc();
  }
  return same;
}

std::vector<Credentials> read_credentials(const Options& options) {
  const auto& keyfiles = options.keyfile;
  if (!keyfiles.empty() && keyfiles.size() != options.certfile.size()) {
    throw std::invalid_argument(
        "keyfile: there are " + std::to_string(keyfiles.size()) + " of them and " +
        std::to_string(options.certfile.size()) +
        " of certfile: name one for each, in the same order, or none if the keys are in certfile");
  }
  std::vector<Credentials> all;
  all.reserve(options.certfile.size());
  for (std::size_t i = 0; i < options.certfile.size(); ++i) all.push_back(read_one(options, i));
  return all;
}

std::vector<Credentials> read_credentials_anew(const Options& options,
                                               const std::vector<Credentials>& before,
                                               std::vector<std::string>& faults) {
  std::vector<Credentials> all;
  for (std::size_t i = 0; i < options.certfile.size(); ++i) {
    try {
      all.push_back(read_one(options, i));
    } catch (const std::invalid_argument& fault) {
      faults.emplace_back(fault.what());
      if (faults.size() == options.certfile.size()) throw;
      all.push_back(before[i].shared());
    }
  }
  return all;
}

}  // namespace prowingen::tls
