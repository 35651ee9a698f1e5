#include "tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <initializer_list>
#include <stdexcept>

#include "tls/client_certificates.h"
#include "tls/openssl_types.h"
#include "tls/profile.h"
#include "tls/resumption.h"
#include "tls/served.h"

namespace prowingen::tls {
namespace {

constexpr std::time_t day = 24 * 60 * 60;
// What automatic renewal has long done: it renews certificates of 90 days 30 days before their end.
constexpr std::time_t warned_before = 21 * day;

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

// An authority's protocol is agreed on where there is the answer to its challenge, and after that
// answer no other: see was_answered(). Otherwise none
// in common ends the handshake (RFC 7301 section 3.2): whoever speaks another protocol might
// otherwise have its bytes taken for HTTP.
int choose_protocol(SSL* connection, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int size, void* ours) {
  const std::string_view offers(reinterpret_cast<const char*>(offered), size);
  try {  // no exception through C
    if (wants_validation(*connection)) answer_challenge(connection);
    if (was_answered(*connection)) {
      return protocol_offered(offers, validation_protocol, out, out_size)
                 ? SSL_TLSEXT_ERR_OK
                 : SSL_TLSEXT_ERR_ALERT_FATAL;
    }
  } catch (const std::exception&) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  for (const auto& wanted : *static_cast<const std::vector<std::string>*>(ours)) {
    if (protocol_offered(offers, wanted, out, out_size)) return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::vector<std::string> paths_of(const Options& options) {
  std::vector<std::string> paths;
  for (const auto* list : {&options.certfile, &options.keyfile, &options.crl, &options.ocsp_file}) {
    paths.insert(paths.end(), list->begin(), list->end());
  }
  if (!options.ca_certs.empty()) paths.push_back(options.ca_certs);
  return paths;
}

std::string pem_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  return bio && PEM_write_bio_X509(bio.get(), certificate) == 1 ? text_of(bio.get()) : "";
}

std::string date_of(std::time_t time) {
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d", &utc)};
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const auto part : parts) all.append(part);
  return all;
}

std::string days_left(std::time_t seconds) {
  const auto days = seconds / day;
  if (days == 0) return "within a day";
  return "in " + std::to_string(days) + (days == 1 ? " day" : " days");
}

}  // namespace

Context::Context(const Options& options, std::vector<std::string> protocols)
    : options_(options),
      protocols_(std::move(protocols)),
      paths_(paths_of(options)),
      tickets_(std::make_shared<Tickets>(Tickets::new_secret())) {
  stamps_ = look();
  current_ = read(read_credentials(options_));
}

std::shared_ptr<SSL_CTX> Context::read(std::vector<Credentials> credentials) const {
  ERR_clear_error();
  const std::shared_ptr<SSL_CTX> made(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX* const context = made.get();
  if (context == nullptr) throw std::invalid_argument("certfile: OpenSSL: " + last_error());
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  // An idle connection keeps no buffers; a write may go on from another place in memory.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Sessions are resumed by tickets, which nobody has to store.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  apply_profile(context, options_);
  ServerNames names(credentials);
  Staples staples(options_.ocsp_file, credentials);
  auto outdated = want_client_certificates(context, options_);
  serve(context, std::make_unique<Served>(Served{std::move(credentials), std::move(names),
                                                 std::move(staples), options_.acme_folder,
                                                 std::move(outdated)}));
  SSL_CTX_set_alpn_select_cb(context, choose_protocol,
                             const_cast<std::vector<std::string>*>(&protocols_));
  use_tickets(context, tickets_);
  judge_resumption(context);
  return made;
}

void Context::share_tickets(std::string_view key) {
  const std::lock_guard renewing(renewing_);
  tickets_ = std::make_shared<Tickets>(key);
  use_tickets(current().get(), tickets_);
}

std::shared_ptr<SSL_CTX> Context::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

FileStamps Context::stamps() const {
  const std::lock_guard lock(mutex_);
  return stamps_;
}

std::vector<std::string> Context::renew() {
  const std::lock_guard renewing(renewing_);
  auto stamps = look();  // what changes while it is read is read once more
  {
    const std::lock_guard lock(mutex_);
    stamps_ = std::move(stamps);
  }
  std::vector<std::string> faults;
  auto read_anew =
      read(read_credentials_anew(options_, served_by(current().get()).credentials, faults));
  const std::lock_guard lock(mutex_);
  current_.swap(read_anew);
  return faults;
}

std::vector<Context::Line> Context::described() const {
  const auto context = current();
  const Served& served = served_by(context.get());
  const std::time_t now = std::time(nullptr);
  std::vector<Line> lines;
  for (const Credentials& one : served.credentials) {
    const std::string certificate =
        joined({"certfile: \"", one.file, "\": the certificate of ", one.name()});
    const std::string date = date_of(one.expires);
    if (one.expires <= now) {
      lines.emplace_back(Severity::warning, joined({certificate, " expired on ", date}));
    } else if (one.expires - now <= warned_before) {
      lines.emplace_back(Severity::warning, joined({certificate, " expires ",
                                                    days_left(one.expires - now), ", on ", date}));
    } else {
      lines.emplace_back(Severity::info,
                         joined({certificate, " (", one.key_type(), ") is valid until ", date}));
    }
  }
  for (const auto& staple : served.staples.all()) {
    if (!staple.outdated(now)) continue;
    lines.emplace_back(Severity::warning,
                       joined({"ocsp_file: \"", staple.file, "\": it is out of date since ",
                               date_of(staple.until), ": handshakes go without it"}));
  }
  for (const auto& [file, issuer] : served.outdated_lists) {
    lines.emplace_back(Severity::warning,
                       joined({"crl: \"", file, "\": the list of ", issuer,
                               " is out of date: its certificates are refused"}));
  }
  return lines;
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
  facts->server_name = server_name_of(connection);
  if (const Certificate certificate{SSL_get1_peer_certificate(&connection)}) {
    facts->client_certificate = pem_of(certificate.get());
    facts->client_subject = text_of(X509_get_subject_name(certificate.get()));
    facts->client_issuer = text_of(X509_get_issuer_name(certificate.get()));
  }
  return facts;
}

bool begins_as_http(int socket) {
  char first = 0;
  return ::recv(socket, &first, 1, MSG_PEEK) == 1 && first >= 'A' && first <= 'Z';
}

}  // namespace prowingen::tls
