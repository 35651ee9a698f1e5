#include "core/native_answer.h"

#include <limits>
#include <string>

#include "core/chunk.h"

namespace prowingen {

bool answer_natively(Exchange& exchange, const Refusal& refusal) {
  exchange.taken_at = std::chrono::steady_clock::now();
  if (!exchange.take()) return false;
  std::string page = refusal_page(refusal);
  ResponseHead& head = exchange.response;
  head.clear();
  head.status = refusal.status;
  head.reason = refusal.title;
  head.add_field("Content-Type", "text/plain; charset=utf-8");
  if (refusal.status == 503) head.add_field("Retry-After", "1");
  ResponseBody& body = exchange.response_body;
  body = {};
  body.allowed = response_has_content(exchange.request.method(), head.status);
  body.length_known = body.add_length_field = true;
  body.length = page.size();
  exchange.push(body.allowed ? Chunk(std::move(page)) : Chunk(),
                std::numeric_limits<std::size_t>::max(), true);
  return true;
}

}  // namespace prowingen
