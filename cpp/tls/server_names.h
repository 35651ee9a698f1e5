// The name that a client asks for (SNI, RFC 6066 section 3), and which certificates it means.
//
// With the name is kept whether it is asked for by an authority, which is about to issue a
// certificate and wants to see a challenge of its own answered (RFC 8737): it offers one protocol
// alone, by which nothing is spoken.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace prowingen::tls {

struct Credentials;

/// As names are compared: in lower case, without the root's dot.
std::string normalized_name(std::string_view name);

/// Which certificates a name means; constant after construction: any thread.
///
/// A name means the first certificate that has it, and of each further kind of key the first one,
/// of which OpenSSL takes what the client can verify. A certificate that names it exactly goes
/// before one that does by a wildcard, `*.example.org`, which stands for one label.
class ServerNames {
 public:
  /// Indices of certificates, with different kinds of keys.
  using Choice = std::vector<std::size_t>;

  explicit ServerNames(const std::vector<Credentials>& all);

  /// Of a name that nobody has, or of none.
  const Choice& otherwise() const { return otherwise_; }
  const Choice& of(std::string_view name) const;

 private:
  std::unordered_map<std::string, Choice> choices_;
  Choice otherwise_;
};

/// Has connections keep the name that their clients ask for.
void keep_server_names(SSL_CTX* context);

/// The name that a connection's client has asked for, if it has.
std::string_view server_name_of(const SSL& connection);

/// What an authority offers by ALPN.
inline constexpr std::string_view validation_protocol = "acme-tls/1";

/// Whether a connection's client is such an authority, by what it offers.
bool wants_validation(const SSL& connection);

}  // namespace prowingen::tls
