#include "core/https_redirect.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "core/native_answer.h"
#include "http/request_target.h"

namespace prowingen {
namespace {

constexpr std::string_view page = "This is served by HTTPS.\n";
constexpr std::string_view challenge_path = "/.well-known/acme-challenge/";
constexpr std::size_t longest_token = 200;
constexpr std::string_view no_host = "The request does not say which host it is for.\n";

// Path and query as they were sent, and nothing of OPTIONS *, which is about the server.
std::string_view path_and_query(std::string_view target, const TargetParts& parts) {
  if (parts.form == TargetForm::origin) return target;
  if (parts.form != TargetForm::absolute) return {};
  return target.substr(parts.scheme.size() + std::string_view("://").size() +
                       parts.authority.size());
}

// What has no other character (RFC 8555 section 8.3) is no path either.
bool is_token(std::string_view text) {
  constexpr std::string_view others = "-_";
  return !text.empty() && text.size() <= longest_token && std::ranges::all_of(text, [&](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

// Empty if there is none.
std::string answer_to_challenge(std::string_view target, const std::string& folder) {
  if (folder.empty() || !target.starts_with(challenge_path)) return {};
  const auto token = target.substr(challenge_path.size());
  if (!is_token(token)) return {};
  std::ifstream file(folder + std::string(token), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void answer(Exchange& exchange, std::string_view port, const std::string& challenges) {
  if (auto text = answer_to_challenge(exchange.request.target(), challenges); !text.empty()) {
    exchange.response.clear();
    exchange.response.status = 200;
    exchange.response.reason = "OK";
    exchange.response.add_field("Content-Type", "application/octet-stream");
    return send_text(exchange, std::move(text));
  }
  const std::string location =
      https_location(exchange.request.target(), exchange.request.first("host"), port);
  const bool knows_where = !location.empty();
  const std::string_view text = knows_where ? page : no_host;
  ResponseHead& head = exchange.response;
  head.clear();
  head.status = knows_where ? 308 : 400;
  head.reason = knows_where ? "Permanent Redirect" : "Bad Request";
  if (knows_where) head.add_field("Location", location);
  head.add_field("Content-Type", "text/plain; charset=utf-8");
  send_text(exchange, std::string(text));
}

}  // namespace

HttpsRedirect::HttpsRedirect(const std::string& port, const std::string& folder)
    : port_(port.empty() ? port : ":" + port),
      challenges_(folder.empty() ? folder : folder + "/challenges/") {}

std::size_t HttpsRedirect::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& exchange : exchanges) {
    if (take_at_once(*exchange, now)) answer(*exchange, port_, challenges_);
  }
  return exchanges.size();
}

std::string https_location(std::string_view target, std::string_view host, std::string_view port) {
  const TargetParts parts = split_target(target);
  const std::string_view authority = parts.form == TargetForm::absolute ? parts.authority : host;
  if (authority.empty()) return {};
  const auto rest = path_and_query(target, parts);
  std::string location = "https://";
  location.append(split_authority(authority).host).append(port);
  if (!rest.starts_with('/') && parts.form != TargetForm::asterisk) location.push_back('/');
  return location.append(rest);
}

}  // namespace prowingen
