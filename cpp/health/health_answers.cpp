#include "health/health_answers.h"

#include <utility>

#include "core/native_answer.h"
#include "core/pass_on.h"

namespace prowingen::health {
namespace {

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

void send(Exchange& exchange, int status, std::string text) {
  exchange.is_probe = true;
  if (!take_at_once(exchange)) return;
  ResponseHead& head = exchange.response;
  head.status = status;
  head.reason = reason_phrase(status);
  head.add_field("Content-Type", "text/plain; charset=utf-8");
  head.add_field("Cache-Control", "no-store");
  send_text(exchange, std::move(text));
}

}  // namespace

HealthAnswers::HealthAnswers(const std::string& prefix, RequestSink& next,
                             std::function<Obstacle()> look)
    : live_(prefix + "/live"), ready_(prefix + "/ready"), next_(next), look_(std::move(look)) {}

std::size_t HealthAnswers::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  return pass_on_rest(exchanges, next_, [&](Exchange& exchange) { return answer(exchange); });
}

bool HealthAnswers::answer(Exchange& exchange) const {
  const auto method = exchange.request.method();
  if (method != "GET" && method != "HEAD") return false;
  const auto path = path_of(exchange.request.target());
  if (path == live_) {
    send(exchange, 200, "alive\n");
  } else if (path == ready_) {
    const Obstacle obstacle = look_();
    const bool ready = obstacle == Obstacle::none;
    send(exchange, ready ? 200 : 503,
         ready ? "ready\n" : "not ready: " + std::string(describe(obstacle)) + "\n");
  } else {
    return false;
  }
  return true;
}

}  // namespace prowingen::health
