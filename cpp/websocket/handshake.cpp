#include "websocket/handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "http/octets.h"
#include "http/request_policy.h"

namespace prowingen::websocket {
namespace {

constexpr std::string_view guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t key_size = 24;  // 16 octets in base64
constexpr int smallest_window = 9;    // of zlib's deflate
constexpr int largest_window = 15;

/// All lines of a field as one list (RFC 9110 section 5.3).
std::string joined(const RequestHead& request, std::string_view name) {
  std::string all;
  for (const FieldLine& field : request.fields()) {
    if (!equals_ignoring_case(request.view(field.name), name)) continue;
    if (!all.empty()) all.append(",");
    all.append(request.view(field.value));
  }
  return all;
}

std::size_t count(const RequestHead& request, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(request.fields(), [&](const FieldLine& field) {
        return equals_ignoring_case(request.view(field.name), name);
      }));
}

/// Takes what stands before the next `mark` off the front.
std::string_view cut(std::string_view& text, char mark) {
  const auto end = text.find(mark);
  const auto part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return trim(part);
}

bool is_key(std::string_view key) {
  const auto is_digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  };
  return key.size() == key_size && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, key_size - 2), is_digit);
}

// A page of `authority` itself: its scheme is the request's, or hidden by a proxy that takes TLS
// off.
bool is_same_origin(std::string_view origin, std::string_view scheme, std::string_view authority) {
  const auto at = origin.find("://");
  if (at == std::string_view::npos || authority.empty()) return false;
  const auto their_scheme = origin.substr(0, at);
  const bool secure = their_scheme == "https";
  if (!secure && (their_scheme != "http" || scheme == "https")) return false;
  const std::string_view usual_port = secure ? ":443" : ":80";
  const auto named = [usual_port](std::string_view host) {
    if (host.ends_with(usual_port)) host.remove_suffix(usual_port.size());
    return host;
  };
  return equals_ignoring_case(named(origin.substr(at + 3)), named(authority));
}

// ---- RFC 7692 section 7.1

struct Parameter {
  std::string_view name, value;
  bool has_value = false;
};

Parameter parse_parameter(std::string_view text) {
  Parameter parameter;
  const auto at = text.find('=');
  parameter.name = trim(text.substr(0, at));
  if (at == std::string_view::npos) return parameter;
  parameter.has_value = true;
  parameter.value = trim(text.substr(at + 1));
  if (parameter.value.size() >= 2 && parameter.value.starts_with('"') &&
      parameter.value.ends_with('"')) {
    parameter.value = parameter.value.substr(1, parameter.value.size() - 2);
  }
  return parameter;
}

std::optional<int> window_bits(std::string_view text) {
  int bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || text.starts_with('0') || bits < 8 || bits > largest_window) return std::nullopt;
  return bits;
}

/// What an offer of the client's and what the application wants have in common.
std::optional<Compression> agree(std::string_view parameters, const Compression& wanted) {
  Compression agreed = wanted;
  agreed.agreed = true;
  agreed.client_window = largest_window;  // of a client that takes no limit
  bool seen[4] = {};
  const auto once = [&seen](int which) { return !std::exchange(seen[which], true); };
  while (!parameters.empty()) {
    const Parameter parameter = parse_parameter(cut(parameters, ';'));
    const auto bits = window_bits(parameter.value);
    if (parameter.name == "server_no_context_takeover") {
      if (parameter.has_value || !once(0)) return std::nullopt;
      agreed.server_keeps = false;
    } else if (parameter.name == "client_no_context_takeover") {
      if (parameter.has_value || !once(1)) return std::nullopt;
      agreed.client_keeps = false;
    } else if (parameter.name == "server_max_window_bits") {
      // zlib makes no window of 8 bits.
      if (!bits || *bits < smallest_window || !once(2)) return std::nullopt;
      agreed.server_window = std::min(agreed.server_window, *bits);
    } else if (parameter.name == "client_max_window_bits") {
      if ((parameter.has_value && !bits) || !once(3)) return std::nullopt;
      agreed.client_window = std::min(wanted.client_window, bits.value_or(largest_window));
    } else {
      return std::nullopt;
    }
  }
  return agreed;
}

std::string describe(const Compression& compression) {
  std::string text = "permessage-deflate";
  if (!compression.server_keeps) text.append("; server_no_context_takeover");
  if (!compression.client_keeps) text.append("; client_no_context_takeover");
  if (compression.server_window < largest_window) {
    text.append("; server_max_window_bits=").append(std::to_string(compression.server_window));
  }
  if (compression.client_window < largest_window) {
    text.append("; client_max_window_bits=").append(std::to_string(compression.client_window));
  }
  return text;
}

void agree_on_compression(const RequestHead& request, const Offer& offer, Handshake& answer) {
  if (!offer.compress) return;
  const std::string all = joined(request, "Sec-WebSocket-Extensions");
  for (std::string_view rest = all; !rest.empty();) {
    std::string_view extension = cut(rest, ',');
    if (cut(extension, ';') != "permessage-deflate") continue;
    if (const auto agreed = agree(extension, offer.compression)) {
      answer.compression = *agreed;
      answer.extensions = describe(*agreed);
      return;
    }
  }
}

Handshake refused(int status, std::string fault) {
  Handshake answer;
  answer.status = status;
  answer.fault = std::move(fault);
  return answer;
}

std::string choose_subprotocol(const RequestHead& request, const Offer& offer) {
  const std::string all = joined(request, "Sec-WebSocket-Protocol");
  for (const std::string& known : offer.subprotocols) {
    for (std::string_view rest = all; !rest.empty();) {
      if (cut(rest, ',') == known) return known;
    }
  }
  return {};
}

}  // namespace

std::string accept_key(std::string_view key) {
  constexpr unsigned digest_size = 20;
  const std::string text = std::string(key).append(guid);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    return {};
  std::array<unsigned char, 4 * ((digest_size + 2) / 3) + 1> encoded;
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), digest_size);
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length)};
}

Handshake answer_handshake(const RequestHead& request, std::string_view scheme,
                           std::string_view authority, const Offer& offer) {
  if (request.method() != "GET") return refused(400, "a handshake's method is GET");
  if (!offers(request, "websocket")) {
    return refused(426, "Upgrade does not ask for a websocket");
  }
  const auto key = request.first("Sec-WebSocket-Key");
  if (count(request, "Sec-WebSocket-Key") != 1 || !is_key(key)) {
    return refused(400, "Sec-WebSocket-Key is not one of 16 octets in base64");
  }
  if (joined(request, "Sec-WebSocket-Version") != "13") {
    return refused(426, "Sec-WebSocket-Version is not 13");
  }
  if (count(request, "Origin") > 1) return refused(400, "there is more than one Origin");
  const auto origin = request.first("Origin");
  const bool restricted = !offer.origins.empty() || offer.same_origin;
  const bool named = std::ranges::find(offer.origins, origin) != offer.origins.end();
  const bool own = offer.same_origin && is_same_origin(origin, scheme, authority);
  if (restricted && !origin.empty() && !named && !own) {
    return refused(403, "pages of " + std::string(origin) + " may not connect");
  }
  Handshake answer;
  answer.accept = accept_key(key);
  if (answer.accept.empty()) return refused(500, "there is no SHA-1");
  answer.subprotocol = choose_subprotocol(request, offer);
  agree_on_compression(request, offer, answer);
  return answer;
}

}  // namespace prowingen::websocket
