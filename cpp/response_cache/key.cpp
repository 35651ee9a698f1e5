#include "response_cache/key.h"

#include <algorithm>
#include <array>

#include "http/octets.h"
#include "http/request_target.h"

namespace prowingen::response_cache {
namespace {

// No part of a key has it: all come from checked fields and targets.
constexpr char separator = '\n';

char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string in_small_letters(std::string_view text) {
  std::string small_text(text);
  std::ranges::transform(small_text, small_text.begin(), small);
  return small_text;
}

bool starts_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && equals_ignoring_case(text.substr(0, word.size()), word);
}

// Fields that are not known here, but to some application or middleware, as what its client's URL
// or method was.
bool tells_target(std::string_view name) {
  constexpr std::array<std::string_view, 10> names{
      "Forwarded",     "X-Host",   "X-Original-Host", "X-Original-URL",         "X-Rewrite-URL",
      "X-Script-Name", "X-Scheme", "Front-End-Https", "X-HTTP-Method-Override", "X-HTTP-Method"};
  constexpr std::string_view forwarded = "X-Forwarded-";
  switch (small(name.empty() ? '\0' : name.front())) {
    case 'f': break;
    case 'x':
      // A client's address is no part of an URL.
      if (starts_with_word(name, forwarded)) return !equals_ignoring_case(name, "X-Forwarded-For");
      break;
    default: return false;
  }
  return std::ranges::any_of(names, [&](auto each) { return equals_ignoring_case(name, each); });
}

// Forwarded (RFC 7239) without the addresses in it, which each client has another of.
void append_forwarded(std::string_view value, std::string& key) {
  while (!value.empty()) {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < value.size(); ++end) {
      const char c = value[end];
      if (c == '"') quoted = !quoted;
      if (c == '\\' && quoted && end + 1 < value.size()) ++end;
      if ((c == ',' || c == ';') && !quoted) break;
    }
    const auto pair = trim(value.substr(0, end));
    if (!starts_with_word(pair, "for=") && !starts_with_word(pair, "by=")) {
      key.append(pair).push_back(';');
    }
    value.remove_prefix(std::min(end + 1, value.size()));
  }
}

// Lists whose members may be written with spaces between them, and mean the same.
bool is_list_of_preferences(std::string_view name) {
  return name == "accept" || name == "accept-encoding" || name == "accept-language" ||
         name == "accept-charset";
}

void append_value(std::string_view name, std::string_view value, std::string& key) {
  const bool as_it_is = !is_list_of_preferences(name) || value.find('"') != std::string_view::npos;
  for (const char c : value) {
    if (as_it_is || (c != ' ' && c != '\t')) key.push_back(c);
  }
}

std::string_view path_and_query(std::string_view target, const TargetParts& parts) {
  if (parts.form == TargetForm::origin) return target;
  target.remove_prefix(parts.scheme.size() + std::string_view("://").size() +
                       parts.authority.size());
  return target;
}

}  // namespace

std::string uri_key(const Exchange& exchange) {
  const std::string_view target = exchange.request.target();
  const TargetParts parts = split_target(target);
  if (parts.form != TargetForm::origin && parts.form != TargetForm::absolute) return {};
  const ConnectionInfo& peer = *exchange.peer;
  std::string_view authority =
      parts.form == TargetForm::absolute ? parts.authority : exchange.request.first("host");
  std::string key = std::to_string(exchange.listener);
  key.push_back(separator);
  key.append(peer.scheme).push_back(separator);
  if (const ForwardedTarget* told = peer.forwarded.get()) {
    if (!told->host.empty()) authority = told->host;
    // Which is decoded, and may have any octet.
    key.append(std::to_string(told->prefix.size())).push_back(separator);
    key.append(told->prefix).append(told->server_port).push_back(separator);
  }
  if (authority.empty()) {  // then it is SERVER_NAME that URLs are made of
    key.append(peer.local_address).push_back(' ');
    key.append(peer.local_port);
  }
  key.append(authority).push_back(separator);
  const auto rest = path_and_query(target, parts);
  if (!rest.starts_with('/')) key.push_back('/');
  return key.append(rest);
}

std::optional<FieldNames> varies_by(const ResponseHead& head) {
  FieldNames names;
  for (const FieldLine& field : head.fields()) {
    if (!equals_ignoring_case(head.view(field.name), "Vary")) continue;
    auto list = head.view(field.value);
    for (;;) {
      const auto comma = list.find(',');
      const auto member = trim(list.substr(0, comma));
      if (member == "*" || (!member.empty() && !is_token(member))) return std::nullopt;
      if (!member.empty()) names.push_back(in_small_letters(member));
      if (comma == std::string_view::npos) break;
      list.remove_prefix(comma + 1);
    }
  }
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

std::string selected_by(const RequestHead& request, std::span<const std::string> names) {
  std::string key;
  for (const FieldLine& field : request.fields()) {
    const auto name = request.view(field.name);
    if (!tells_target(name)) continue;
    key.append(in_small_letters(name)).push_back(':');
    const auto value = request.view(field.value);
    equals_ignoring_case(name, "Forwarded") ? append_forwarded(value, key)
                                            : static_cast<void>(key.append(value));
    key.push_back(separator);
  }
  for (const std::string& name : names) {
    // As the environ has several lines of it, and HTTP/2 takes one apart.
    const std::string_view between = name == "cookie" ? "; " : ",";
    bool found = false;
    for (const FieldLine& field : request.fields()) {
      if (!equals_ignoring_case(request.view(field.name), name)) continue;
      key.append(found ? between : "=");  // one that is empty is there
      found = true;
      append_value(name, request.view(field.value), key);
    }
    key.push_back(separator);
  }
  return key;
}

}  // namespace prowingen::response_cache
