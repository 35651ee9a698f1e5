#include "tls/context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace prowingen::tls {
namespace {

// A name, and keys to encrypt and to sign with: what SSL_CTX_set_tlsext_ticket_keys() takes.
constexpr std::size_t ticket_key_size = 80;

struct FreeFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
using Certificate = std::unique_ptr<X509, FreeCertificate>;

[[noreturn]] void refuse(std::string_view option, std::string_view value, std::string_view why) {
  throw std::invalid_argument(
      std::string(option).append(": \"").append(value).append("\": ").append(why));
}

/// A file that cannot be opened, or holds nothing of its kind, is said so; of other faults OpenSSL
/// knows the reason.
void check_readable(std::string_view option, const std::string& path) {
  const std::unique_ptr<std::FILE, FreeFile> file(std::fopen(path.c_str(), "r"));
  if (!file) refuse(option, path, std::generic_category().message(errno));
}

void throw_unreadable(std::string_view option, const std::string& path, std::string_view what) {
  const auto code = ERR_peek_error();
  const bool none = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  if (none) refuse(option, path, std::string("there is no ").append(what).append(" (PEM) in it"));
  refuse(option, path, last_error());
}

int give_password(char* buffer, int size, int, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  if (text.size() > static_cast<std::size_t>(size)) return -1;
  std::ranges::copy(text, buffer);
  return static_cast<int>(text.size());
}

bool is_encrypted(const std::string& path) {
  const std::unique_ptr<std::FILE, FreeFile> file(std::fopen(path.c_str(), "r"));
  if (!file) return false;
  std::string text(64 * 1024, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text.find("BEGIN ENCRYPTED PRIVATE KEY") != std::string::npos ||
         text.find("Proc-Type: 4,ENCRYPTED") != std::string::npos;
}

void use_key(SSL_CTX* context, const Options& options) {
  const bool apart = !options.keyfile.empty();
  const std::string& path = apart ? options.keyfile : options.certfile;
  const std::string_view option = apart ? "keyfile" : "certfile";
  check_readable(option, path);
  const bool encrypted = is_encrypted(path);
  if (encrypted && options.keyfile_password.empty()) {
    refuse(option, path, "the key is encrypted: give its password in keyfile_password");
  }
  // The callback is always set: OpenSSL's own would ask at the terminal.
  SSL_CTX_set_default_passwd_cb(context, give_password);
  SSL_CTX_set_default_passwd_cb_userdata(context,
                                         const_cast<std::string*>(&options.keyfile_password));
  const bool used = SSL_CTX_use_PrivateKey_file(context, path.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  // To use a key compares it with a certificate of its type alone: there may be none.
  if (used && SSL_CTX_check_private_key(context) == 1) return;
  const auto code = ERR_peek_error();
  const bool differs =
      ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH;
  if (used || differs) {
    refuse(option, path, "it is not the key of the certificate in certfile");
  }
  if (encrypted) refuse(option, path, "keyfile_password does not open it");
  if (!apart && (ERR_GET_LIB(code) == ERR_LIB_PEM || ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER)) {
    refuse(option, path, "there is no private key (PEM) in it: name its file in keyfile");
  }
  if (ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER) {
    refuse(option, path, "there is no private key (PEM) in it");
  }
  throw_unreadable(option, path, "private key");
}

void use_certificate(SSL_CTX* context, const Options& options) {
  check_readable("certfile", options.certfile);
  if (SSL_CTX_use_certificate_chain_file(context, options.certfile.c_str()) != 1) {
    throw_unreadable("certfile", options.certfile, "certificate");
  }
  use_key(context, options);
}

void want_client_certificates(SSL_CTX* context, const Options& options) {
  if (options.cert_reqs == "none") return;
  if (options.ca_certs.empty()) {
    refuse("cert_reqs", options.cert_reqs, "it needs ca_certs, whose certificates are trusted");
  }
  check_readable("ca_certs", options.ca_certs);
  if (SSL_CTX_load_verify_locations(context, options.ca_certs.c_str(), nullptr) != 1) {
    throw_unreadable("ca_certs", options.ca_certs, "certificate");
  }
  // Which authorities a client is asked for: it may have several certificates.
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options.ca_certs.c_str()));
  const bool required = options.cert_reqs == "required";
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
}

// A resumed session is not asked for its certificate again: so it must have been begun under the
// same demands, whichever process made its ticket, and with whatever configuration.
void tell_sessions_apart(SSL_CTX* context, const Options& options) {
  std::string demands = options.cert_reqs;
  if (options.cert_reqs != "none") {
    std::ifstream file(options.ca_certs, std::ios::binary);
    demands.append(std::istreambuf_iterator<char>(file), {});
  }
  std::array<unsigned char, SSL_MAX_SID_CTX_LENGTH> digest;
  unsigned size = 0;
  if (EVP_Digest(demands.data(), demands.size(), digest.data(), &size, EVP_sha256(), nullptr) !=
          1 ||
      SSL_CTX_set_session_id_context(context, digest.data(), size) != 1) {
    throw std::invalid_argument("certfile: OpenSSL: " + last_error());
  }
}

bool protocol_offered(std::string_view offers, std::string_view wanted, const unsigned char** out,
                      unsigned char* out_size) {
  while (!offers.empty()) {
    const std::size_t size = static_cast<unsigned char>(offers.front());
    const auto name = offers.substr(1, size);
    if (name == wanted) {
      *out = reinterpret_cast<const unsigned char*>(name.data());
      *out_size = static_cast<unsigned char>(name.size());
      return true;
    }
    offers.remove_prefix(std::min(1 + size, offers.size()));
  }
  return false;
}

// None in common ends the handshake (RFC 7301 section 3.2): whoever speaks another protocol might
// otherwise have its bytes taken for HTTP.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int size, void* ours) {
  const std::string_view offers(reinterpret_cast<const char*>(offered), size);
  for (const auto& wanted : *static_cast<const std::vector<std::string>*>(ours)) {
    if (protocol_offered(offers, wanted, out, out_size)) return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// ---------------------------------------------------------------------------- server name

// Where a connection keeps the name that its client asked for. OpenSSL has it of a full handshake
// and of TLS 1.3, but not where a session of TLS 1.2 is resumed: it would be the session's, which
// keeps a name only if a callback of that name has chosen by it.
int server_name_index() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* name, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::string*>(name);
      });
  return index;
}

/// The name in the extension server_name (RFC 6066 section 3): a list, of which OpenSSL takes one
/// name too; empty if there is none that could be a host's.
std::string_view read_server_name(std::string_view extension) {
  constexpr std::size_t before = 5;  // the list's length, the name's type and its length
  constexpr std::size_t host_name = 0;
  const auto octet = [&](std::size_t at) -> std::size_t {
    return static_cast<unsigned char>(extension[at]);
  };
  if (extension.size() <= before || octet(2) != host_name) return {};
  const auto name = extension.substr(before);
  const bool whole =
      name.size() == octet(3) * 256 + octet(4) && name.size() + 3 == octet(0) * 256 + octet(1);
  const bool valid =
      name.size() <= TLSEXT_MAXLEN_host_name && name.find('\0') == std::string_view::npos;
  return whole && valid ? name : std::string_view();
}

// Called with each ClientHello: a second one, after a HelloRetryRequest, has the same name.
int keep_server_name(SSL* connection, int* alert, void*) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(connection, TLSEXT_TYPE_server_name, &data, &size) != 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  const auto name = read_server_name({reinterpret_cast<const char*>(data), size});
  auto* const kept = static_cast<std::string*>(SSL_get_ex_data(connection, server_name_index()));
  *alert = SSL_AD_INTERNAL_ERROR;  // read on an error only
  try {                            // no exception through C
    auto made = kept == nullptr ? std::make_unique<std::string>(name) : nullptr;
    if (kept != nullptr) *kept = name;
    if (kept != nullptr || SSL_set_ex_data(connection, server_name_index(), made.get()) == 1) {
      static_cast<void>(made.release());
      return SSL_CLIENT_HELLO_SUCCESS;
    }
  } catch (const std::bad_alloc&) {
    return SSL_CLIENT_HELLO_ERROR;
  }
  return SSL_CLIENT_HELLO_ERROR;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string pem_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  return bio && PEM_write_bio_X509(bio.get(), certificate) == 1 ? text_of(bio.get()) : "";
}

std::string name_of(const X509_NAME* name) {
  const Bio bio(BIO_new(BIO_s_mem()));
  const bool written = bio && X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) >= 0;
  return written ? text_of(bio.get()) : "";
}

}  // namespace

Context::Context(const Options& options, std::vector<std::string> protocols)
    : protocols_(std::move(protocols)), context_(SSL_CTX_new(TLS_server_method())) {
  ERR_clear_error();
  SSL_CTX* const context = context_.get();
  if (context == nullptr) throw std::invalid_argument("certfile: OpenSSL: " + last_error());
  const bool newest_only = options.tls_min_version == "1.3";
  SSL_CTX_set_min_proto_version(context, newest_only ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // An idle connection keeps no buffers; a write may go on from another place in memory.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Sessions are resumed by tickets, which nobody has to store.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (!options.ciphers.empty() && SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) != 1) {
    ERR_clear_error();
    refuse("ciphers", options.ciphers, "OpenSSL knows no cipher suite of TLS 1.2 in it");
  }
  use_certificate(context, options);
  want_client_certificates(context, options);
  tell_sessions_apart(context, options);
  SSL_CTX_set_client_hello_cb(context, keep_server_name, nullptr);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol,
                             const_cast<std::vector<std::string>*>(&protocols_));
}

void Context::share_tickets(std::string_view key) {
  std::string copy(key);  // the macro takes no const
  if (copy.size() != ticket_key_size ||
      SSL_CTX_set_tlsext_ticket_keys(get(), copy.data(), static_cast<long>(copy.size())) != 1) {
    throw std::invalid_argument("ticket_key: it is none");
  }
}

std::string new_ticket_key() {
  std::string key(ticket_key_size, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1) {
    throw std::runtime_error("OpenSSL has no random numbers: " + last_error());
  }
  return key;
}

std::string_view protocol_of(const SSL& connection) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(&connection, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::shared_ptr<const TlsFacts> facts_of(const SSL& connection) {
  auto facts = std::make_shared<TlsFacts>();
  facts->protocol = SSL_get_version(&connection);
  facts->cipher = SSL_get_cipher_name(&connection);
  if (const void* name = SSL_get_ex_data(&connection, server_name_index())) {
    facts->server_name = *static_cast<const std::string*>(name);
  }
  if (const Certificate certificate{SSL_get1_peer_certificate(&connection)}) {
    facts->client_certificate = pem_of(certificate.get());
    facts->client_subject = name_of(X509_get_subject_name(certificate.get()));
    facts->client_issuer = name_of(X509_get_issuer_name(certificate.get()));
  }
  return facts;
}

std::string last_error() {
  const auto code = ERR_peek_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "the connection ended";
}

bool begins_as_http(int socket) {
  char first = 0;
  return ::recv(socket, &first, 1, MSG_PEEK) == 1 && first >= 'A' && first <= 'Z';
}

}  // namespace prowingen::tls
