// What a server's TLS connections have in common: certificate, key, versions, and whose
// certificates are wanted; OpenSSL's SSL_CTX, read from the options of the group "TLS" once.
//
// Both engines take it: the embedded one drives SSL objects itself, the proxygen one has folly do
// so.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/exchange.h"
#include "core/options.h"

namespace prowingen::tls {

/// Constant after construction: any thread.
class Context {
 public:
  /// `protocols`: what may be negotiated (RFC 7301), best first. Throws std::invalid_argument that
  /// names the option, the file and what is wrong with it.
  Context(const Options& options, std::vector<std::string> protocols);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  SSL_CTX* get() const { return context_.get(); }

  /// Makes tickets that every context with the same key takes, if it asks clients for the same
  /// certificates. `key`: as new_ticket_key() gives it, else std::invalid_argument. Before the
  /// first connection.
  void share_tickets(std::string_view key);

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };

  const std::vector<std::string> protocols_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

/// A secret for share_tickets().
std::string new_ticket_key();

/// What is known of a connection when its handshake is done.
std::shared_ptr<const TlsFacts> facts_of(const SSL& connection);

/// The protocol that was agreed on (RFC 7301), or nothing.
std::string_view protocol_of(const SSL& connection);

/// Why the last operation of this thread failed, in OpenSSL's words; takes it off its queue.
std::string last_error();
/// Whether what waits on a socket begins a request, and no handshake: of a client that takes the
/// port for one without TLS. Leaves it there.
bool begins_as_http(int socket);

}  // namespace prowingen::tls
