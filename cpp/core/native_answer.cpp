#include "core/native_answer.h"

#include <limits>
#include <string>
#include <utility>

#include "core/chunk.h"

namespace prowingen {

bool take_at_once(Exchange& exchange, SteadyTime now) {
  exchange.queued_at = exchange.taken_at = now;
  exchange.submit();
  return exchange.take();
}

void send_content(Exchange& exchange, std::span<Chunk> content) {
  constexpr auto no_high_water = std::numeric_limits<std::size_t>::max();
  const bool allowed = response_has_content(exchange.request.method(), exchange.response.status);
  exchange.response_body.allowed = allowed;
  if (!allowed || content.empty()) {
    exchange.push(Chunk(), no_high_water, true);
    return;
  }
  for (std::size_t at = 0; at < content.size(); ++at) {
    exchange.push(std::move(content[at]), no_high_water, at + 1 == content.size());
  }
}

void send_text(Exchange& exchange, std::string text) {
  ResponseBody& body = exchange.response_body;
  body = {};
  body.length_known = body.add_length_field = true;
  body.length = text.size();
  Chunk content(std::move(text));
  send_content(exchange, {&content, 1});
}

ResponseHead refusal_head(const Refusal& refusal, std::chrono::seconds retry_after) {
  ResponseHead head;
  head.status = refusal.status;
  head.reason = refusal.title;
  head.add_field("Content-Type", "text/plain; charset=utf-8");
  if (refusal.status == 503 || refusal.status == 429) {
    head.add_field("Retry-After", std::to_string(retry_after.count()));
  }
  return head;
}

void send_refusal(Exchange& exchange, const Refusal& refusal, std::chrono::seconds retry_after) {
  exchange.response = refusal_head(refusal, retry_after);
  send_text(exchange, refusal_page(refusal));
}

bool answer_natively(Exchange& exchange, const Refusal& refusal) {
  exchange.taken_at = std::chrono::steady_clock::now();
  if (!exchange.take()) return false;
  send_refusal(exchange, refusal);
  return true;
}

}  // namespace prowingen
