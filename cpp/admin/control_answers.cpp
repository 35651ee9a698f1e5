#include "admin/control_answers.h"

#include <utility>

#include "admin/requests.h"
#include "core/native_answer.h"
#include "core/pass_on.h"

namespace prowingen::admin {
namespace {

constexpr std::string_view stacks_path = "/-/stacks";
constexpr std::string_view control_path = "/-/control";
constexpr std::string_view stacks_question = "{\"v\": 1, \"command\": \"stacks\"}\n";
constexpr std::chrono::minutes warning_interval{1};

constexpr Refusal only_post{405, "Method Not Allowed", "it takes POST", ""};
constexpr Refusal nobody_there{
    404, "Not Found", "only a server that the command prowingen has started answers that", ""};
constexpr Refusal no_token{403, "Forbidden",
                           "nothing can be controlled here: admin_token_file is not set", ""};
constexpr Refusal not_allowed{401, "Unauthorized",
                              "it takes the token of admin_token_file: Authorization: Bearer TOKEN",
                              "RFC 6750 2.1"};
constexpr Refusal no_json{415, "Unsupported Media Type", "it takes application/json", ""};
constexpr Refusal too_many{503, "Service Unavailable", "too many ask at once: try again", ""};

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

void refuse(Exchange& exchange, const Refusal& refusal, std::string_view name = {},
            std::string_view value = {}) {
  exchange.response = refusal_head(refusal);
  exchange.response.add_field("Cache-Control", "no-store");
  if (!name.empty()) exchange.response.add_field(name, value);
  send_text(exchange, refusal_page(refusal));
}

}  // namespace

std::size_t ControlAnswers::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  return pass_on_rest(exchanges, next_, [this](Exchange& exchange) { return answer(exchange); });
}

bool ControlAnswers::answer(Exchange& exchange) {
  const auto path = path_of(exchange.request.target());
  if (path != stacks_path && path != control_path) return false;
  exchange.is_probe = true;
  if (!take_at_once(exchange)) return true;
  if (is_refused(exchange)) return true;
  path == stacks_path ? show_stacks(exchange) : control(exchange);
  return true;
}

bool ControlAnswers::is_refused(Exchange& exchange) {
  if (const Refusal* const foreign = why_foreign(exchange)) {
    refuse(exchange, *foreign);
  } else if (!relays_.door().is_there()) {
    refuse(exchange, nobody_there);
  } else {
    return false;
  }
  return true;
}

void ControlAnswers::show_stacks(Exchange& exchange) {
  const auto method = exchange.request.method();
  if (method == "HEAD") {  // which nobody has to be asked for
    exchange.response.status = 200;
    exchange.response.reason = reason_phrase(200);
    exchange.response.add_field("Content-Type", "application/x-ndjson");
    exchange.response.add_field("Cache-Control", "no-store");
    exchange.response_body = {};
    return send_content(exchange, {});
  }
  if (method != "GET") return refuse(exchange, only_get, "Allow", "GET, HEAD");
  relay(exchange, std::string(stacks_question));
}

void ControlAnswers::control(Exchange& exchange) {
  const auto& request = exchange.request;
  if (request.method() != "POST") return refuse(exchange, only_post, "Allow", "POST");
  if (token_.empty()) return refuse(exchange, no_token);
  const auto bearer = check_bearer(request, token_);
  if (bearer != Bearer::right) {
    if (bearer == Bearer::wrong) warn_of(exchange);
    return refuse(exchange, not_allowed, "WWW-Authenticate", "Bearer realm=\"prowingen\"");
  }
  if (!is_json(request.first("content-type"))) return refuse(exchange, no_json);
  relay(exchange, {});
}

void ControlAnswers::relay(Exchange& exchange, std::string question) {
  if (!relays_.begin(exchange.shared_from_this(), std::move(question))) refuse(exchange, too_many);
}

// Whoever guesses can come again and again.
void ControlAnswers::warn_of(const Exchange& exchange) {
  ++wrong_tokens_;
  const auto now = std::chrono::steady_clock::now();
  if (now < warns_at_) return;
  warns_at_ = now + warning_interval;
  const auto& address = exchange.peer->remote_address;
  std::string text = "POST /-/control: a wrong token was refused, of ";
  text += address.empty() ? "a client of a Unix socket" : address;
  if (wrong_tokens_ > 1) text += ", and " + std::to_string(wrong_tokens_ - 1) + " before it";
  report_(Severity::warning, std::move(text));
  wrong_tokens_ = 0;
}

}  // namespace prowingen::admin
