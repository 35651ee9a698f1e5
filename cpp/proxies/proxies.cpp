#include "proxies/proxies.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "http/request_target.h"

namespace prowingen {
namespace {

Networks read_networks(std::string_view option, const std::vector<std::string>& texts) {
  try {
    return Networks(texts);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string(option) + ": " + error.what());
  }
}

ForwardedRules read_rules(const Options& options) {
  const auto believed = [&](std::string_view name) {
    return std::ranges::find(options.forwarded_fields, name) != options.forwarded_fields.end();
  };
  ForwardedRules rules;
  rules.trusted = read_networks("forwarded_allow_ips", options.forwarded_allow_ips);
  if (options.forwarded_header == "forwarded") rules.family = ForwardedRules::Family::forwarded;
  rules.client = believed("for");
  rules.scheme = believed("proto");
  rules.host = believed("host");
  rules.port = believed("port");
  rules.prefix = believed("prefix");
  return rules;
}

/// An authority may write its port with leading zeros.
std::string_view plain_port(std::string_view digits) {
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  return digits;
}

std::shared_ptr<const ForwardedTarget> target_of(const ForwardedFacts& facts,
                                                 std::string_view scheme) {
  if (facts.host.empty() && facts.port.empty() && facts.prefix.empty()) return nullptr;
  auto target = std::make_shared<ForwardedTarget>();
  target->prefix = facts.prefix;
  if (!facts.host.empty()) {
    const Authority parts = split_authority(facts.host);
    target->host = facts.host;
    target->server_name = parts.host;
    // An authority that names no port means its scheme's (RFC 9110 section 4.2), not the one that
    // this server happens to listen on.
    const bool secure = scheme == "https";
    const auto port = plain_port(parts.port);
    target->server_port = !port.empty() ? port : secure ? "443" : "80";
  }
  if (!facts.port.empty()) target->server_port = facts.port;
  return target;
}

}  // namespace

Proxies::Proxies(const Options& options)
    : send_headers_(options.proxy_protocol),
      header_senders_(read_networks("proxy_allow_ips", options.proxy_allow_ips)),
      rules_(read_rules(options)) {}

void Proxies::complete(ConnectionInfo& info, const ProxyHeader* header) const {
  if (header != nullptr && header->source == ProxySource::client) {
    info.remote_address = header->remote_address;
    info.remote_port = header->remote_port;
    info.local_address = header->local_address;
    info.local_port = header->local_port;
  }
  if (header != nullptr && header->secure) info.scheme = "https";
  if (rules_.trusted.empty()) return;
  // Of a client that the PROXY header does not name, the connection's peer says nothing: the proxy
  // that passes its bytes on has not looked at its fields.
  const bool peer_is_known = header == nullptr || header->source != ProxySource::unknown;
  info.from_proxy = peer_is_known && rules_.trusted.contains_peer(info.remote_address);
}

std::shared_ptr<const ConnectionInfo> Proxies::ends_of(
    const RequestHead& head, const std::shared_ptr<const ConnectionInfo>& connection) const {
  const ForwardedFacts facts = read_forwarded(head, rules_);
  const auto scheme = facts.scheme.empty() ? std::string_view(connection->scheme) : facts.scheme;
  auto target = target_of(facts, scheme);
  if (facts.client_address.empty() && scheme == connection->scheme && !target) return connection;
  auto ends = std::make_shared<ConnectionInfo>(*connection);
  if (!facts.client_address.empty()) {
    ends->remote_address = facts.client_address;
    ends->remote_port = facts.client_port;
  }
  ends->scheme = scheme;
  ends->forwarded = std::move(target);
  return ends;
}

}  // namespace prowingen
