#include "proxies/forwarded.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "http/octets.h"
#include "http/request_target.h"
#include "proxies/forwarded_list.h"

namespace prowingen {
namespace {

using Quotes = ListFromTheRight::Quotes;

// ---------------------------------------------------------------------------- nodes

/// Who asked a proxy, as that proxy tells.
struct Node {
  std::optional<IpAddress> address;  // none: it does not tell (RFC 7239 section 6.2 and 6.3)
  std::string_view port;
};

bool is_obfuscated(std::string_view text) {
  return text.size() > 1 && text.front() == '_' && std::ranges::all_of(text, [](char c) {
           return is(c, Octet::digit) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  c == '.' || c == '_' || c == '-';
         });
}

/// Sets apart a port, which has to be one, from a node's name. False: it is none.
bool cut_port(std::string_view& name, std::string_view& port, bool may_be_obfuscated) {
  const auto bracket = name.starts_with('[') ? name.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const auto colon = name.find(':', bracket);
  if (colon == std::string_view::npos) return true;
  port = name.substr(colon + 1);
  name = name.substr(0, colon);
  if (is_port(port)) return true;
  if (!may_be_obfuscated || !is_obfuscated(port)) return false;
  port = {};
  return true;
}

/// An address; in brackets one of IPv6 alone, and without them one of IPv4.
std::optional<IpAddress> read_name(std::string_view name) {
  const bool bracketed = name.size() > 2 && name.front() == '[' && name.back() == ']';
  if (bracketed) name = name.substr(1, name.size() - 2);
  return bracketed == (name.find(':') != std::string_view::npos) ? IpAddress::parse(name)
                                                                 : std::nullopt;
}

/// RFC 7239 section 6. Nothing: it is malformed.
std::optional<Node> read_forwarded_node(std::string_view text) {
  Node node;
  if (!cut_port(text, node.port, true)) return std::nullopt;
  if (equals_ignoring_case(text, "unknown") || is_obfuscated(text)) return Node{};
  node.address = read_name(text);
  if (!node.address) return std::nullopt;
  return node;
}

/// Of X-Forwarded-For, which nobody specified: an address of IPv6 comes without brackets too.
std::optional<Node> read_x_forwarded_node(std::string_view text) {
  if (equals_ignoring_case(text, "unknown")) return Node{};  // Squid's
  Node node;
  node.address = IpAddress::parse(text);
  if (node.address) return node;
  if (!cut_port(text, node.port, false)) return std::nullopt;
  node.address = read_name(text);
  if (!node.address) return std::nullopt;
  return node;
}

// ---------------------------------------------------------------------------- other values

std::string_view valid_scheme(std::string_view text) {
  if (equals_ignoring_case(text, "https")) return "https";
  if (equals_ignoring_case(text, "http")) return "http";
  return {};
}

std::string_view valid_host(std::string_view text) { return is_valid_authority(text) ? text : ""; }

std::string_view valid_port(std::string_view text) {
  return is_port(text) && text != "0" ? text : "";
}

/// What a request target's path may be, and may still be once it is decoded, when further spaces
/// and octets beyond ASCII may stand in it. With two slashes in front it would be a URL's host to
/// those who put it into a Location field.
std::string_view valid_prefix(std::string_view text, std::string& buffer) {
  if (!text.starts_with('/') || check_target("GET", text) != nullptr) return {};
  if (text.find('?') != std::string_view::npos) return {};
  auto path = percent_decode(text, buffer);
  const bool valid = std::ranges::all_of(path, [](char c) {
    return is(c, Octet::path_octet) || c == '%' || c == ' ' ||
           static_cast<unsigned char>(c) >= 0x80;
  });
  if (!valid || path.starts_with("//")) return {};
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

// ---------------------------------------------------------------------------- the walk

void set_client(ForwardedFacts& facts, const Node& node) {
  facts.client_address = node.address->text();
  facts.client_port = node.port;
}

/// Which element of a list, counted from the right, tells of the client, and of how many.
struct Place {
  std::size_t from_right = 0;
  std::size_t of = 0;
};

Place walk_x_forwarded_for(const RequestHead& head, const Networks& trusted,
                           ForwardedFacts& facts) {
  ListFromTheRight list(head, "X-Forwarded-For", Quotes::plain);
  Place place;
  bool walking = true;
  while (const auto element = list.next()) {
    const std::size_t index = place.of++;
    if (!walking) continue;
    const auto node = read_x_forwarded_node(*element);
    walking = node && node->address && trusted.contains(*node->address);
    if (!node) continue;  // the one before it is the last that counts
    place.from_right = index;
    if (node->address) set_client(facts, *node);
  }
  return place;
}

/// The value for the request that the client made. Proxies that add to this list as they do to
/// X-Forwarded-For make both equally long, and the values for one request stand at the same place
/// in both. Of proxies that replace the value the last one to do so knows what the client asked; it
/// is then the only one. Any other lengths are a client's addition, or a proxy's omission: the
/// rightmost alone is then certain to be a proxy's.
std::string_view value_at(const RequestHead& head, std::string_view name, Place place) {
  ListFromTheRight list(head, name, Quotes::plain);
  std::string_view rightmost;
  std::string_view at_place;
  std::size_t count = 0;
  for (; const auto element = list.next(); ++count) {
    if (count == 0) rightmost = *element;
    if (count == place.from_right) at_place = *element;
  }
  return count == place.of ? at_place : rightmost;
}

ForwardedFacts read_x_forwarded(const RequestHead& head, const ForwardedRules& rules) {
  ForwardedFacts facts;
  Place place;
  if (rules.client) place = walk_x_forwarded_for(head, rules.trusted, facts);
  const auto value = [&](std::string_view name) { return value_at(head, name, place); };
  if (rules.scheme) facts.scheme = valid_scheme(value("X-Forwarded-Proto"));
  if (rules.host) facts.host = valid_host(value("X-Forwarded-Host"));
  if (rules.port) facts.port = valid_port(value("X-Forwarded-Port"));
  std::string buffer;
  if (rules.prefix) facts.prefix = valid_prefix(value("X-Forwarded-Prefix"), buffer);
  return facts;
}

// ---------------------------------------------------------------------------- Forwarded

/// The parameters of one element that are of interest; empty where it has none.
struct Element {
  std::string node;
  std::string proto;
  std::string host;
};

/// Takes a token or a quoted string off the front (RFC 9110 section 5.6.2 and 5.6.4).
std::optional<std::string> cut_value(std::string_view& text) {
  std::string value;
  if (!text.starts_with('"')) {
    while (!text.empty() && is(text.front(), Octet::tchar)) {
      value.push_back(text.front());
      text.remove_prefix(1);
    }
    return value.empty() ? std::nullopt : std::optional(value);
  }
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\') text.remove_prefix(1);
    if (text.empty()) return std::nullopt;
    value.push_back(text.front());
    text.remove_prefix(1);
  }
  if (text.empty()) return std::nullopt;
  text.remove_prefix(1);
  return value;
}

/// RFC 7239 section 4. Nothing: it is malformed.
std::optional<Element> read_element(std::string_view text) {
  Element element;
  unsigned seen = 0;
  while (!text.empty()) {
    if (text.front() == ';') {  // behind a pair, or without one
      text = trim(text.substr(1));
      continue;
    }
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    if (equals == std::string_view::npos || !is_token(name)) return std::nullopt;
    text.remove_prefix(equals + 1);
    const auto value = cut_value(text);
    if (!value) return std::nullopt;
    const auto take = [&](unsigned bit, std::string_view called, std::string& into) {
      if (!equals_ignoring_case(name, called)) return true;
      into = *value;
      return (std::exchange(seen, seen | bit) & bit) == 0;  // none comes twice
    };
    if (!take(1, "for", element.node) || !take(2, "proto", element.proto) ||
        !take(4, "host", element.host)) {
      return std::nullopt;
    }
    text = trim(text);
    if (!text.empty() && text.front() != ';') return std::nullopt;
  }
  return element;
}

ForwardedFacts read_forwarded_field(const RequestHead& head, const ForwardedRules& rules) {
  ForwardedFacts facts;
  ListFromTheRight list(head, "Forwarded", Quotes::mean_strings);
  bool walking = true;
  while (walking) {
    const auto text = list.next();
    const auto element = text ? read_element(*text) : std::nullopt;
    if (!element) break;
    std::optional<Node> node = Node{};
    if (rules.client && !element->node.empty()) node = read_forwarded_node(element->node);
    if (!node) break;
    // All of an element is about one request, so nothing is taken from another.
    if (rules.scheme) facts.scheme = valid_scheme(element->proto);
    if (rules.host) facts.host = valid_host(element->host);
    if (node->address) set_client(facts, *node);
    walking = node->address && rules.trusted.contains(*node->address);
  }
  return facts;
}

}  // namespace

ForwardedFacts read_forwarded(const RequestHead& head, const ForwardedRules& rules) {
  return rules.family == ForwardedRules::Family::forwarded ? read_forwarded_field(head, rules)
                                                           : read_x_forwarded(head, rules);
}

}  // namespace prowingen
