#include "admin/requests.h"

#include <algorithm>
#include <array>
#include <utility>

namespace prowingen::admin {
namespace {

constexpr std::string_view blanks = " \t\r\n";
// As control/protocol.py writes them.
constexpr std::string_view refusal_begins = R"({"v": 1, "ok": false, "error": {"code": ")";
constexpr std::string_view end_begins = R"({"v": 1, "ok": )";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// The value of a field that comes once; nothing: it does not, or more often.
std::optional<std::string_view> only(const RequestHead& request, std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& field : request.fields()) {
    if (!equals_ignoring_case(request.view(field.name), name)) continue;
    if (found) return std::nullopt;
    found = request.view(field.value);
  }
  return found;
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         equals_ignoring_case(text.substr(text.size() - end.size()), end);
}

bool is_loopback(std::string_view address) {
  constexpr std::string_view mapped = "::ffff:";
  if (address.starts_with(mapped)) address.remove_prefix(mapped.size());
  return address.starts_with("127.") || address == "::1";
}

// Of an authority, without its port.
std::string_view name_in(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.rfind(':'));
}

constexpr Refusal foreign_page{403, "Forbidden", "it was asked for by a page of another origin",
                               ""};
constexpr Refusal foreign_name{
    403, "Forbidden", "a loopback address is to be asked by its number, or by localhost", ""};

// A name of the DNS's ends in letters.
bool is_number(std::string_view name) {
  return name.starts_with('[') ||
         (!name.empty() && name.find_first_not_of("0123456789.") == std::string_view::npos);
}

}  // namespace

bool is_of_own_origin(const RequestHead& request) {
  if (request.first("origin").empty()) return true;
  const auto origin = only(request, "origin");
  const auto host = only(request, "host");
  if (!origin || !host) return false;
  for (const std::string_view scheme : {"http://", "https://"}) {  // a proxy may speak TLS
    if (origin->starts_with(scheme)) {
      return equals_ignoring_case(origin->substr(scheme.size()), *host);
    }
  }
  return false;
}

bool is_asked_by_own_name(std::string_view host, std::string_view local_address) {
  if (!is_loopback(local_address)) return true;
  const auto name = name_in(host);
  return name.find('.') == std::string_view::npos || is_number(name) ||
         ends_with_ignoring_case(name, ".localhost");
}

const Refusal* why_foreign(const Exchange& exchange) {
  const auto& request = exchange.request;
  if (!is_of_own_origin(request)) return &foreign_page;
  if (!is_asked_by_own_name(request.first("host"), exchange.peer->local_address)) {
    return &foreign_name;
  }
  return nullptr;
}

bool is_json(std::string_view content_type) {
  return equals_ignoring_case(trimmed(content_type.substr(0, content_type.find(';'))),
                              "application/json");
}

Bearer check_bearer(const RequestHead& request, std::string_view token) {
  constexpr std::string_view scheme = "bearer ";
  if (request.first("authorization").empty()) return Bearer::missing;
  const auto field = only(request, "authorization");
  if (!field || token.empty() || !equals_ignoring_case(field->substr(0, scheme.size()), scheme)) {
    return Bearer::wrong;
  }
  const auto said = trimmed(field->substr(scheme.size()));
  volatile unsigned difference = said.size() == token.size() ? 0 : 1;
  for (std::size_t i = 0; i < said.size(); ++i) {
    const auto mine = static_cast<unsigned char>(token[i % token.size()]);
    difference = difference | (static_cast<unsigned char>(said[i]) ^ unsigned{mine});
  }
  return difference == 0 ? Bearer::right : Bearer::wrong;
}

std::optional<std::string> as_question(std::string_view content) {
  content = trimmed(content);
  if (content.size() >= longest_question) return std::nullopt;
  std::string line(content);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  line += '\n';
  return line;
}

int status_of(std::string_view answer) {
  if (!answer.starts_with(refusal_begins)) return 200;
  answer.remove_prefix(refusal_begins.size());
  const auto code = answer.substr(0, answer.find('"'));
  constexpr std::array<std::pair<std::string_view, int>, 8> statuses{{{"request", 400},
                                                                      {"version", 400},
                                                                      {"command", 400},
                                                                      {"argument", 400},
                                                                      {"denied", 403},
                                                                      {"refused", 409},
                                                                      {"busy", 503},
                                                                      {"failed", 500}}};
  for (const auto& [name, status] : statuses) {
    if (code == name) return status;
  }
  return 500;
}

void LineWatch::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto newline = bytes.find('\n');
    const auto piece = bytes.substr(0, newline);
    const auto wanted = end_begins.size() - std::min(end_begins.size(), begun_.size());
    begun_.append(piece.substr(0, wanted));
    if (newline == std::string_view::npos) return;
    over_ = begun_ == end_begins;
    begun_.clear();
    bytes.remove_prefix(newline + 1);
  }
}

}  // namespace prowingen::admin
