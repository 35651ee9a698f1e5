#include "tls/served.h"

#include <openssl/err.h>

#include <exception>
#include <stdexcept>

#include "tls/challenges.h"
#include "tls/faults.h"
#include "tls/openssl_types.h"

namespace prowingen::tls {
namespace {

int served_index() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* served, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<Served*>(served);
      });
  return index;
}

// Set on a connection that was given the answer to a challenge; to anything but null.
int answer_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// The context has those of a name that nobody has: any other takes them from its connection, and
// puts its own there. Not called where a session is resumed, which needs none.
int choose_certificates(SSL* connection, void* data) {
  constexpr int go_on = 1;
  constexpr int failed = 0;
  const auto& served = *static_cast<const Served*>(data);
  try {  // no exception through C
    if (wants_validation(*connection)) {
      answer_challenge(connection);  // without one it finds that it offers nothing that is spoken
      return go_on;
    }
    const auto& choice = served.names.of(server_name_of(*connection));
    if (choice == served.names.otherwise()) return go_on;
    SSL_certs_clear(connection);
    for (const std::size_t index : choice) {
      const Credentials& one = served.credentials[index];
      if (SSL_use_cert_and_key(connection, one.certificate.get(), one.key.get(), one.chain.get(),
                               1) != 1) {
        return failed;
      }
    }
  } catch (const std::exception&) {
    return failed;
  }
  return go_on;
}

int staple(SSL* connection, void* data) {
  return static_cast<const Served*>(data)->staples.give(connection);
}

void use(SSL* connection, const Credentials& one) {
  if (SSL_use_cert_and_key(connection, one.certificate.get(), one.key.get(), one.chain.get(), 1) !=
      1) {
    refuse("certfile", one.file, last_error());
  }
}

void use(SSL_CTX* context, const Credentials& one) {
  if (SSL_CTX_use_cert_and_key(context, one.certificate.get(), one.key.get(), one.chain.get(), 1) !=
      1) {
    refuse("certfile", one.file, last_error());
  }
}

}  // namespace

void serve(SSL_CTX* context, std::unique_ptr<Served> served) {
  // Each is tried, so that one that OpenSSL does not take is refused here and not in a handshake;
  // on a connection of its own, since the context has a place for each kind of key, and one of
  // another name would stay there.
  const std::unique_ptr<SSL, FreeBy<SSL_free>> trial(SSL_new(context));
  for (const Credentials& one : served->credentials) use(trial.get(), one);
  for (const std::size_t index : served->names.otherwise()) {
    use(context, served->credentials[index]);
  }
  Served* const data = served.get();
  if (SSL_CTX_set_ex_data(context, served_index(), data) != 1) {
    throw std::invalid_argument("certfile: OpenSSL: " + last_error());
  }
  static_cast<void>(served.release());
  keep_server_names(context);
  SSL_CTX_set_cert_cb(context, choose_certificates, data);
  if (data->staples.all().empty()) return;
  SSL_CTX_set_tlsext_status_cb(context, staple);
  SSL_CTX_set_tlsext_status_arg(context, data);
}

const Served& served_by(const SSL_CTX* context) {
  return *static_cast<const Served*>(SSL_CTX_get_ex_data(context, served_index()));
}

bool was_answered(const SSL& connection) {
  return SSL_get_ex_data(&connection, answer_index()) != nullptr;
}

bool answer_challenge(SSL* connection) {
  if (was_answered(*connection)) return true;
  const Served& served = served_by(SSL_get_SSL_CTX(connection));
  const auto answer = challenge_certificate(served.challenges, server_name_of(*connection));
  // Before anything of it is given: what fails half way serves nothing either.
  if (!answer || SSL_set_ex_data(connection, answer_index(), connection) != 1) return false;
  SSL_certs_clear(connection);
  if (SSL_use_cert_and_key(connection, answer->certificate.get(), answer->key.get(), nullptr, 1) !=
      1) {
    return false;
  }
  // Nothing is asked of an authority, and it has no use for a session.
  SSL_set_verify(connection, SSL_VERIFY_NONE, nullptr);
  SSL_set_options(connection, SSL_OP_NO_TICKET);
  SSL_set_num_tickets(connection, 0);
  return true;
}

}  // namespace prowingen::tls
