#include "metrics/admin_answers.h"

#include <utility>

#include "core/native_answer.h"

namespace prowingen::metrics {
namespace {

constexpr std::string_view metrics_path = "/-/metrics";
constexpr std::string_view plain_text = "text/plain; charset=utf-8";
constexpr std::string_view what_there_is =
    "/-/         a page that shows what the server does\n"
    "/-/events   what it shows, as server-sent events\n"
    "/-/live     whether the server answers\n"
    "/-/ready    whether it should be given requests\n"
    "/-/metrics  its figures, for Prometheus\n"
    "/-/stacks   what its threads are in\n"
    "/-/control  commands, for who has the token: POST\n";

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

void send(Exchange& exchange, int status, std::string_view type, std::string text) {
  ResponseHead& head = exchange.response;
  head.status = status;
  head.reason = reason_phrase(status);
  head.add_field("Content-Type", type);
  head.add_field("Cache-Control", "no-store");
  if (status == 405) head.add_field("Allow", "GET, HEAD");
  send_text(exchange, std::move(text));
}

// A client may send its preferences in several fields.
std::string accepted_by(const RequestHead& request) {
  std::string accept;
  for (const auto& field : request.fields()) {
    if (!equals_ignoring_case(request.view(field.name), "accept")) continue;
    accept.append(accept.empty() ? "" : ",").append(request.view(field.value));
  }
  return accept;
}

}  // namespace

std::size_t AdminAnswers::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& exchange : exchanges) {
    exchange->is_probe = true;
    if (take_at_once(*exchange, now)) answer(*exchange);
  }
  return exchanges.size();
}

void AdminAnswers::answer(Exchange& exchange) const {
  const auto method = exchange.request.method();
  if (path_of(exchange.request.target()) != metrics_path) {
    return send(exchange, 404, plain_text, std::string(what_there_is));
  }
  if (method != "GET" && method != "HEAD") {
    return send(exchange, 405, plain_text, refusal_page(only_get));
  }
  const Form form = choose_form(accepted_by(exchange.request));
  send(exchange, 200, media_type(form), render_(form));
}

}  // namespace prowingen::metrics
