// What a server's TLS connections have in common: certificates, keys, versions, and whose
// certificates are wanted; OpenSSL's SSL_CTX, read from the files that the options of the group
// "TLS" name, and read anew when those change:
//
//    files --read--> SSL_CTX 1  <-- connections that began with it keep it to their end
//       \--renew()-> SSL_CTX 2  <-- those that begin now
//
// Files that cannot be used leave what there is in use. Sessions are resumed across a renewal.
//
// Both engines take it: the embedded one drives SSL objects itself, the proxygen one has folly do
// so.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/exchange.h"
#include "core/options.h"
#include "tls/credentials.h"
#include "tls/faults.h"
#include "tls/file_stamps.h"
#include "tls/server_names.h"
#include "tls/tickets.h"

namespace prowingen::tls {

class Context {
 public:
  /// `protocols`: what may be negotiated (RFC 7301), best first. Throws std::invalid_argument that
  /// names the option, the file and what is wrong with it.
  Context(const Options& options, std::vector<std::string> protocols);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// For a connection that begins. Any thread.
  std::shared_ptr<SSL_CTX> current() const;

  /// Makes tickets that every context with the same key takes, if it asks clients for the same
  /// certificates. `key`: as Tickets::new_secret() gives it, else std::invalid_argument. Before the
  /// first connection.
  void share_tickets(std::string_view key);

  /// Reads the files anew, for connections that begin from now on. Throws as the constructor does,
  /// and then goes on with what it has. Returns what is wrong with those certificates of several in
  /// whose place the ones of before stay. Any thread.
  std::vector<std::string> renew();
  /// The files as they were just before they were last read. Any thread.
  FileStamps stamps() const;
  /// The files as they are now.
  FileStamps look() const { return FileStamps(paths_); }

  using Line = std::pair<Severity, std::string>;
  /// A line for each certificate in use, and warnings of what has expired, or will in three weeks.
  /// Any thread.
  std::vector<Line> described() const;

 private:
  std::shared_ptr<SSL_CTX> read(std::vector<Credentials> credentials) const;

  const Options options_;
  const std::vector<std::string> protocols_;
  const std::vector<std::string> paths_;
  std::shared_ptr<Tickets> tickets_;
  std::mutex renewing_;
  mutable std::mutex mutex_;  // guards the two below
  FileStamps stamps_;
  std::shared_ptr<SSL_CTX> current_;
};

/// What is known of a connection when its handshake is done.
std::shared_ptr<const TlsFacts> facts_of(const SSL& connection);

/// The protocol that was agreed on (RFC 7301), or nothing.
std::string_view protocol_of(const SSL& connection);

/// Whether what waits on a socket begins a request, and no handshake: of a client that takes the
/// port for one without TLS. Leaves it there.
bool begins_as_http(int socket);

}  // namespace prowingen::tls
