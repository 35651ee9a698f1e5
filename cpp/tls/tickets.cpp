#include "tls/tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <exception>
#include <span>
#include <stdexcept>
#include <utility>

#include "tls/faults.h"

namespace prowingen::tls {
namespace {

// A secret as text: the number of the period that it is of, and itself.
constexpr std::size_t number_size = 8;
constexpr std::size_t secret_size = number_size + 32;

void check(bool done) {
  if (!done) throw std::runtime_error("OpenSSL makes no key for tickets: " + last_error());
}

// Different purposes, different results (NIST SP 800-108).
void derive(std::span<const unsigned char> secret, std::string_view purpose,
            std::span<unsigned char> into) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> input;
  auto end = std::ranges::copy(secret, input.begin()).out;
  end = std::ranges::copy(purpose, end).out;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  check(EVP_Digest(input.data(), static_cast<std::size_t>(end - input.begin()), digest.data(),
                   &size, EVP_sha256(), nullptr) == 1);
  std::copy_n(digest.begin(), into.size(), into.begin());
  OPENSSL_cleanse(input.data(), input.size());
  OPENSSL_cleanse(digest.data(), digest.size());
}

int tickets_index() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* tickets, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::shared_ptr<Tickets>*>(tickets);
      });
  return index;
}

// What SSL_CTX_set_tlsext_ticket_key_evp_cb() wants to be told.
constexpr int failed = -1;
constexpr int unknown = 0;
constexpr int taken = 1;
constexpr int taken_and_renewed = 2;

int use_key_of(SSL* connection, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac, int encrypts) {
  const auto* const kept = static_cast<std::shared_ptr<Tickets>*>(
      SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), tickets_index()));
  try {  // no exception through C
    if (encrypts != 0) return (*kept)->encrypt(name, iv, cipher, mac) ? taken : failed;
    switch ((*kept)->decrypt(name, iv, cipher, mac)) {
      case Tickets::Found::none: return unknown;
      case Tickets::Found::previous: return taken_and_renewed;
      // With TLS 1.3 a ticket is for one use, so that nobody is known by it (RFC 8446 appendix
      // C.4).
      case Tickets::Found::current:
        return SSL_version(connection) >= TLS1_3_VERSION ? taken_and_renewed : taken;
      case Tickets::Found::failed: return failed;
    }
  } catch (const std::exception&) {
    return failed;
  }
  return failed;
}

}  // namespace

Tickets::Tickets(std::string_view secret, Clock clock) : clock_(clock) {
  if (secret.size() != secret_size) throw std::invalid_argument("ticket_key: it is none");
  std::uint64_t number = 0;
  for (const char octet : secret.substr(0, number_size)) {
    number = number << 8 | static_cast<unsigned char>(octet);
  }
  number_ = static_cast<std::int64_t>(number);
  // Of a time that is far from now each period would have to be gone through.
  constexpr std::int64_t most = 100'000;
  if (const auto now = clock_() / period; number_ > now || now - number_ > most) number_ = now;
  std::ranges::copy(secret.substr(number_size), secret_.begin());
  current_ = key();
}

std::string Tickets::new_secret() {
  std::string secret;
  const auto number = static_cast<std::uint64_t>(std::time(nullptr) / period);
  for (std::size_t i = number_size; i-- > 0;) {
    secret.push_back(static_cast<char>(number >> (8 * i) & 0xFF));
  }
  secret.resize(secret_size);
  if (RAND_bytes(reinterpret_cast<unsigned char*>(secret.data() + number_size),
                 static_cast<int>(secret_size - number_size)) != 1) {
    throw std::runtime_error("OpenSSL has no random numbers: " + last_error());
  }
  return secret;
}

Tickets::Key Tickets::key() const {
  Key key;
  derive(secret_, "name", key.name);
  derive(secret_, "encrypt", key.encrypts);
  derive(secret_, "sign", key.signs);
  return key;
}

// Under the lock. A clock that is set back changes nothing.
void Tickets::advance() {
  const auto now = static_cast<std::int64_t>(clock_() / period);
  for (; number_ < now; ++number_) {
    Secret next;
    derive(secret_, "next", next);
    secret_ = next;
    previous_ = current_;
    current_ = key();
    has_previous_ = true;
  }
}

bool Tickets::sign(const Key& key, EVP_MAC_CTX* mac) {
  auto secret = key.signs;
  std::string digest = "SHA256";
  const std::array parameters{
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret.data(), secret.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  const bool done = EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
  OPENSSL_cleanse(secret.data(), secret.size());
  return done;
}

bool Tickets::encrypt(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac) {
  const std::lock_guard lock(mutex_);
  advance();
  std::ranges::copy(current_.name, name);
  return RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
         EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, current_.encrypts.data(), iv) ==
             1 &&
         sign(current_, mac);
}

Tickets::Found Tickets::decrypt(const unsigned char* name, const unsigned char* iv,
                                EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
  const std::lock_guard lock(mutex_);
  advance();
  const auto is_named = [name](const Key& key) {
    return std::equal(key.name.begin(), key.name.end(), name);
  };
  const bool is_current = is_named(current_);
  if (!is_current && !(has_previous_ && is_named(previous_))) return Found::none;
  const Key& key = is_current ? current_ : previous_;
  const bool done =
      EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.encrypts.data(), iv) == 1 &&
      sign(key, mac);
  if (!done) return Found::failed;
  return is_current ? Found::current : Found::previous;
}

void use_tickets(SSL_CTX* context, std::shared_ptr<Tickets> tickets) {
  auto kept = std::make_unique<std::shared_ptr<Tickets>>(std::move(tickets));
  const auto* const before =
      static_cast<std::shared_ptr<Tickets>*>(SSL_CTX_get_ex_data(context, tickets_index()));
  if (SSL_CTX_set_ex_data(context, tickets_index(), kept.get()) != 1 ||
      SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_key_of) != 1) {
    throw std::invalid_argument("certfile: OpenSSL: " + last_error());
  }
  static_cast<void>(kept.release());
  delete before;
}

}  // namespace prowingen::tls
