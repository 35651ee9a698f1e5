#include "admin/page_answers.h"

#include "admin/requests.h"
#include "core/native_answer.h"
#include "core/pass_on.h"

namespace prowingen::admin {
namespace {

constexpr std::string_view page_path = "/-/";
constexpr std::string_view events_path = "/-/events";
constexpr Refusal too_many_watch{503, "Service Unavailable",
                                 "as many as may watch this process do so already", ""};

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

void begin(ResponseHead& head, int status, std::string_view type) {
  head.status = status;
  head.reason = reason_phrase(status);
  head.add_field("Content-Type", type);
  head.add_field("Cache-Control", "no-store");
}

void refuse_method(Exchange& exchange) {
  exchange.response = refusal_head(only_get);
  exchange.response.add_field("Allow", "GET, HEAD");
  exchange.response.add_field("Cache-Control", "no-store");
  send_text(exchange, refusal_page(only_get));
}

}  // namespace

std::size_t PageAnswers::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  return pass_on_rest(exchanges, next_, [&](Exchange& exchange) { return answer(exchange); });
}

bool PageAnswers::answer(Exchange& exchange) const {
  const auto path = path_of(exchange.request.target());
  const bool is_page = path == page_path && !page_.document.empty();
  if (!is_page && path != events_path) return false;
  exchange.is_probe = true;
  if (!take_at_once(exchange)) return true;
  const auto method = exchange.request.method();
  if (const Refusal* const foreign = why_foreign(exchange)) {
    send_refusal(exchange, *foreign);
  } else if (method != "GET" && method != "HEAD") {
    refuse_method(exchange);
  } else if (is_page) {
    show(exchange);
  } else {
    let_watch(exchange);
  }
  return true;
}

void PageAnswers::show(Exchange& exchange) const {
  ResponseHead& head = exchange.response;
  begin(head, 200, "text/html; charset=utf-8");
  head.add_field("Content-Security-Policy", page_.policy);
  head.add_field("X-Content-Type-Options", "nosniff");
  head.add_field("Referrer-Policy", "no-referrer");
  send_text(exchange, page_.document);
}

void PageAnswers::let_watch(Exchange& exchange) const {
  begin(exchange.response, 200, "text/event-stream; charset=utf-8");
  if (exchange.request.method() == "HEAD") {
    exchange.response_body = {};
    return send_content(exchange, {});
  }
  if (!watchers_.add(exchange.shared_from_this())) send_refusal(exchange, too_many_watch);
}

}  // namespace prowingen::admin
