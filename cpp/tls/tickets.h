// The keys of session tickets, which take turns: whoever steals one reads what was said by sessions
// of that time alone, and not what came before (RFC 5077 section 5.5).
//
//    secret of a period --hash--> secret of the next --hash--> …
//             \--> key of the period
//
// The secret that came before is gone, and none can be had from what follows. Processes that began
// with one secret have the same keys at the same time, with no word between them. A ticket of the
// period before is still taken, and answered by a new one.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace prowingen::tls {

/// Any thread.
class Tickets {
 public:
  /// Longer than a session lasts.
  static constexpr std::time_t period = 12 * 60 * 60;
  using Clock = std::time_t (*)();

  /// `secret`: as new_secret() gives it, else std::invalid_argument.
  explicit Tickets(
      std::string_view secret, Clock clock = [] { return std::time(nullptr); });

  static std::string new_secret();

  /// For who makes a ticket: its key's name, an IV, and the key itself. False: OpenSSL fails.
  bool encrypt(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac);

  enum class Found : std::uint8_t { none, previous, current, failed };
  /// For who opens one: the key of this name.
  Found decrypt(const unsigned char* name, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
                EVP_MAC_CTX* mac);

 private:
  using Secret = std::array<unsigned char, 32>;
  struct Key {
    std::array<unsigned char, 16> name{};
    std::array<unsigned char, 32> encrypts{};
    std::array<unsigned char, 32> signs{};
  };

  void advance();
  Key key() const;
  static bool sign(const Key& key, EVP_MAC_CTX* mac);

  const Clock clock_;
  std::mutex mutex_;  // guards the rest
  std::int64_t number_;
  Secret secret_;
  Key current_;
  Key previous_;
  bool has_previous_ = false;
};

/// Has connections of a context use them. They are shared with it.
void use_tickets(SSL_CTX* context, std::shared_ptr<Tickets> tickets);

}  // namespace prowingen::tls
