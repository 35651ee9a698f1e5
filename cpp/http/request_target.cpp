#include "http/request_target.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "http/message.h"
#include "http/octets.h"

namespace prowingen {
namespace {

constexpr unsigned max_port = 65535;

/// Splits without checking either part, except that brackets have to be where they belong.
bool cut_authority(std::string_view text, Authority& out) {
  std::size_t host_end = 0;
  if (text.starts_with('[')) {
    const auto bracket = text.find(']');
    if (bracket == std::string_view::npos) return false;
    host_end = bracket + 1;
    if (host_end < text.size() && text[host_end] != ':') return false;
  } else {
    host_end = std::min(text.find(':'), text.size());
  }
  out.host = text.substr(0, host_end);
  if (host_end < text.size()) out.port = text.substr(host_end + 1);
  return true;
}

unsigned port_number(std::string_view digits) {
  unsigned number = 0;
  for (const char c : digits) number = std::min(number * 10 + unsigned(c - '0'), max_port + 1);
  return number;
}

unsigned hex_value(char c) {
  if (is(c, Octet::digit)) return static_cast<unsigned>(c - '0');
  return static_cast<unsigned>((static_cast<unsigned char>(c) | 0x20U) - 'a' + 10);
}

/// Of an escape, "%41".
char decoded_octet(std::string_view escape) {
  return static_cast<char>(hex_value(escape[1]) << 4U | hex_value(escape[2]));
}

bool starts_with_escape(std::string_view text) {
  return text.size() >= 3 && text[0] == '%' && is(text[1], Octet::hex_digit) &&
         is(text[2], Octet::hex_digit);
}

bool is_registered_name(std::string_view host) {
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (is(host[i], Octet::host_octet)) continue;
    if (!starts_with_escape(host.substr(i))) return false;
    // Judged by what it becomes: an encoded '/' or '@' ends a host for whoever decodes it. Octets
    // beyond ASCII are names in UTF-8 (RFC 3986 section 3.2.2).
    const char octet = decoded_octet(host.substr(i, 3));
    if (!is(octet, Octet::host_octet) && static_cast<unsigned char>(octet) < 0x80) return false;
    i += 2;
  }
  return !host.empty();
}

/// "[" IPv6address "]". No zone: it means nothing outside the sender. No IPvFuture: RFC 3986 3.2.2
/// wants an error for a version that is unknown, and all are.
bool is_ip_literal(std::string_view host) {
  std::array<char, INET6_ADDRSTRLEN> address{};
  if (!host.starts_with('[') || !host.ends_with(']') || host.size() - 2 >= address.size()) {
    return false;
  }
  const auto inner = host.substr(1, host.size() - 2);
  if (inner.find('\0') != std::string_view::npos) return false;
  std::ranges::copy(inner, address.begin());
  in6_addr ignored{};
  return inet_pton(AF_INET6, address.data(), &ignored) == 1;
}

/// `path ["?" query]`, either may be empty. An escape must be two digits in the path, which has to
/// be decoded for PATH_INFO: anything else would be a guess. A query goes to the application as it
/// is, and browsers leave a '%' in it alone.
Verdict check_path_and_query(std::string_view text) {
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    if (is(text[i], Octet::path_octet)) continue;
    if (text[i] != '%') break;
    if (!starts_with_escape(text.substr(i))) return &refusal(RequestFault::bad_target_encoding);
    i += 2;
  }
  if (i == text.size()) return nullptr;
  if (text[i] == '?' && all_are(text.substr(i), Octet::query_octet)) return nullptr;
  return &refusal(RequestFault::bad_target);
}

/// Length of "http://" or "https://" at the start, or 0.
std::size_t scheme_prefix(std::string_view target) {
  for (const std::string_view prefix : {"http://", "https://"}) {
    if (equals_ignoring_case(target.substr(0, prefix.size()), prefix)) return prefix.size();
  }
  return 0;
}

void split_path_and_query(std::string_view text, TargetParts& out) {
  const auto question = text.find('?');
  out.path = text.substr(0, question);
  if (question != std::string_view::npos) out.query = text.substr(question + 1);
}

}  // namespace

std::string_view percent_decode(std::string_view text, std::string& buffer) {
  if (text.find('%') == std::string_view::npos) return text;
  buffer.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      buffer.push_back(decoded_octet(text.substr(i, 3)));
      i += 2;
    } else {
      buffer.push_back(text[i]);
    }
  }
  return buffer;
}

Authority split_authority(std::string_view authority) {
  Authority parts;
  cut_authority(authority, parts);
  return parts;
}

bool is_valid_authority(std::string_view authority) {
  Authority parts;
  if (!cut_authority(authority, parts)) return false;
  if (!all_are(parts.port, Octet::digit) || port_number(parts.port) > max_port) return false;
  return parts.host.starts_with('[') ? is_ip_literal(parts.host) : is_registered_name(parts.host);
}

Verdict check_target(std::string_view method, std::string_view target) {
  if (method == "CONNECT") {
    Authority parts;
    const bool is_authority_form =
        is_valid_authority(target) && cut_authority(target, parts) && !parts.port.empty();
    return is_authority_form ? nullptr : &refusal(RequestFault::bad_target_form);
  }
  if (target.starts_with('/')) return check_path_and_query(target);
  if (target == "*") {
    return method == "OPTIONS" ? nullptr : &refusal(RequestFault::bad_target_form);
  }
  if (target.empty() || !all_are(target, Octet::query_octet)) {
    return &refusal(RequestFault::bad_target);
  }
  const auto prefix = scheme_prefix(target);
  if (prefix == 0) return &refusal(RequestFault::bad_target_form);
  const auto rest = target.substr(prefix);
  const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
  if (!is_valid_authority(rest.substr(0, authority_end))) {
    return &refusal(RequestFault::bad_target_authority);
  }
  return check_path_and_query(rest.substr(authority_end));
}

TargetParts split_target(std::string_view target) {
  TargetParts parts;
  if (target.starts_with('/')) {
    split_path_and_query(target, parts);
  } else if (target == "*") {
    parts.form = TargetForm::asterisk;
    parts.path = target;
  } else if (const auto prefix = scheme_prefix(target); prefix != 0) {
    const auto rest = target.substr(prefix);
    const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
    parts.form = TargetForm::absolute;
    parts.scheme = target.substr(0, prefix - 3);
    parts.authority = rest.substr(0, authority_end);
    split_path_and_query(rest.substr(authority_end), parts);
    if (parts.path.empty()) parts.path = "/";
  } else {
    parts.form = TargetForm::authority;
    parts.authority = target;
  }
  return parts;
}

}  // namespace prowingen
