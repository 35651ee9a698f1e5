#include "response_cache/answer.h"

#include <string>

#include "core/native_answer.h"
#include "http/preconditions.h"
#include "http/response_policy.h"

namespace prowingen::response_cache {
namespace {

// Of what is no success a condition says nothing (RFC 9110 section 13.2.1).
bool client_has(const RequestHead& request, const Entry& entry) {
  return entry.head.status / 100 == 2 &&
         check_preconditions(request, {entry.entity_tag, entry.modified}) ==
             Precondition::not_modified;
}

Chunk lend_body(const std::shared_ptr<const Entry>& entry) {
  using Owner = std::shared_ptr<const Entry>;
  return Chunk(BorrowedBytes(entry->body, new Owner(entry),
                             [](void* kept) { delete static_cast<Owner*>(kept); }));
}

}  // namespace

void answer(Exchange& exchange, const std::shared_ptr<const Entry>& entry, SteadyTime now) {
  const bool is_known = client_has(exchange.request, *entry);
  ResponseHead& head = exchange.response;
  head = is_known ? entry->not_modified : entry->head;
  const auto age = entry->age(now);
  head.add_field("Age", std::to_string(age.count()));
  // RFC 9211; behind those of caches that the application has asked itself.
  head.add_field("Cache-Status",
                 "prowingen; hit; ttl=" + std::to_string((entry->lifetime.fresh - age).count()));
  ResponseBody& body = exchange.response_body;
  body = {};
  if (!is_known) {
    body.length_known = true;
    body.length = entry->body.size();
    body.add_length_field = !entry->has_length;
  }
  Chunk content = lend_body(entry);
  send_content(exchange, {&content, 1});
}

}  // namespace prowingen::response_cache
