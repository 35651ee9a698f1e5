#include "tls/server_names.h"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "tls/credentials.h"

namespace prowingen::tls {
namespace {

// Of "www.example.org" "*.example.org"; of a name of one label nothing.
std::string wildcard_of(std::string_view name) {
  const auto dot = name.find('.');
  return dot == std::string_view::npos ? std::string() : "*" + std::string(name.substr(dot));
}

struct Asked {
  std::string name;
  bool validates = false;

  bool operator==(const Asked&) const = default;
};

// Where a connection keeps the name that its client asked for. OpenSSL has it of a full handshake
// and of TLS 1.3, but not where a session of TLS 1.2 is resumed: it would be the session's, which
// keeps a name only if a callback of that name has chosen by it.
int asked_index() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* asked, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<Asked*>(asked);
      });
  return index;
}

const Asked* asked_by(const SSL& connection) {
  return static_cast<const Asked*>(SSL_get_ex_data(&connection, asked_index()));
}

std::string_view extension_of(SSL* connection, unsigned kind) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(connection, kind, &data, &size) != 1) return {};
  return {reinterpret_cast<const char*>(data), size};
}

/// Whether the extension application_layer_protocol_negotiation (RFC 7301 section 3.1) is a list of
/// that protocol alone.
bool offers_validation(std::string_view extension) {
  constexpr std::size_t before = 3;  // the list's length, and the protocol's
  return extension.size() == before + validation_protocol.size() &&
         extension.ends_with(validation_protocol) && extension[2] == validation_protocol.size();
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

// Called with each ClientHello: a second one, after a HelloRetryRequest, is the first in this
// (RFC 8446 section 4.1.2). An authority's has had its answer by then, and may not become another
// client's.
int keep_server_name(SSL* connection, int* alert, void*) {
  auto* const kept = static_cast<Asked*>(SSL_get_ex_data(connection, asked_index()));
  const auto extension = extension_of(connection, TLSEXT_TYPE_server_name);
  if (extension.data() == nullptr && kept == nullptr) return SSL_CLIENT_HELLO_SUCCESS;
  const auto name = read_server_name(extension);
  const bool validates = offers_validation(
      extension_of(connection, TLSEXT_TYPE_application_layer_protocol_negotiation));
  *alert = SSL_AD_INTERNAL_ERROR;  // read on an error only
  try {                            // no exception through C
    Asked asked{std::string(name), validates};
    if (kept != nullptr) {
      if ((validates || kept->validates) && asked != *kept) {
        *alert = SSL_AD_ILLEGAL_PARAMETER;
        return SSL_CLIENT_HELLO_ERROR;
      }
      *kept = std::move(asked);
      return SSL_CLIENT_HELLO_SUCCESS;
    }
    auto made = std::make_unique<Asked>(std::move(asked));
    if (SSL_set_ex_data(connection, asked_index(), made.get()) == 1) {
      static_cast<void>(made.release());
      return SSL_CLIENT_HELLO_SUCCESS;
    }
  } catch (const std::bad_alloc&) {
    return SSL_CLIENT_HELLO_ERROR;
  }
  return SSL_CLIENT_HELLO_ERROR;
}

}  // namespace

std::string normalized_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string lower(name);
  for (char& letter : lower) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return lower;
}

ServerNames::ServerNames(const std::vector<Credentials>& all) {
  const auto add = [&](Choice& choice, std::size_t index) {
    const bool has_one = std::ranges::any_of(
        choice, [&](std::size_t other) { return all[other].key_type() == all[index].key_type(); });
    if (!has_one) choice.push_back(index);
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const auto& name : all[i].names) add(choices_[name], i);
  }
  for (auto& [name, choice] : choices_) {
    const auto wildcard =
        name.starts_with("*.") ? choices_.end() : choices_.find(wildcard_of(name));
    if (wildcard == choices_.end()) continue;
    for (const std::size_t index : wildcard->second) add(choice, index);
  }
  otherwise_.push_back(0);
  if (all.front().names.empty()) return;
  for (const std::size_t index : choices_[all.front().names.front()]) add(otherwise_, index);
}

const ServerNames::Choice& ServerNames::of(std::string_view name) const {
  const auto wanted = normalized_name(name);
  if (const auto exact = choices_.find(wanted); exact != choices_.end()) return exact->second;
  const auto wildcard = choices_.find(wildcard_of(wanted));
  return wildcard != choices_.end() ? wildcard->second : otherwise_;
}

void keep_server_names(SSL_CTX* context) {
  SSL_CTX_set_client_hello_cb(context, keep_server_name, nullptr);
}

std::string_view server_name_of(const SSL& connection) {
  const Asked* const asked = asked_by(connection);
  return asked != nullptr ? asked->name : std::string_view();
}

bool wants_validation(const SSL& connection) {
  const Asked* const asked = asked_by(connection);
  return asked != nullptr && asked->validates;
}

}  // namespace prowingen::tls
