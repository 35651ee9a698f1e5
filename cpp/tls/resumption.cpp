#include "tls/resumption.h"

#include <openssl/x509.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tls/faults.h"
#include "tls/server_names.h"

namespace prowingen::tls {
namespace {

// With the ticket goes the name.
int note_name(SSL* connection, void*) {
  try {  // no exception through C
    const std::string name = normalized_name(server_name_of(*connection));
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(connection), name.data(), name.size());
  } catch (const std::exception&) {
    return 0;
  }
}

bool holds(SSL* connection, SSL_SESSION* session) {
  void* data = nullptr;
  std::size_t size = 0;
  if (SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1) return false;
  const std::string_view name(static_cast<const char*>(data), size);
  if (name != normalized_name(server_name_of(*connection))) return false;
  const X509* certificate = SSL_SESSION_get0_peer(session);
  return certificate == nullptr || X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

SSL_TICKET_RETURN judge(SSL* connection, SSL_SESSION* session, const unsigned char*, std::size_t,
                        SSL_TICKET_STATUS status, void*) {
  const bool read = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
  try {  // no exception through C
    if (!read || !holds(connection, session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  } catch (const std::exception&) {
    return SSL_TICKET_RETURN_ABORT;
  }
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

}  // namespace

void judge_resumption(SSL_CTX* context) {
  if (SSL_CTX_set_session_ticket_cb(context, note_name, judge, nullptr) != 1) {
    throw std::invalid_argument("certfile: OpenSSL: " + last_error());
  }
}

}  // namespace prowingen::tls
