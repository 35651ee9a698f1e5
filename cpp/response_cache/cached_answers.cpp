#include "response_cache/cached_answers.h"

#include <algorithm>

#include "core/native_answer.h"
#include "core/pass_on.h"
#include "response_cache/answer.h"

namespace prowingen::response_cache {

std::size_t CachedAnswers::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  const auto now = std::chrono::steady_clock::now();
  return pass_on_rest(exchanges, next_, [&](Exchange& exchange) {
    const auto entry = cache_.find(exchange, now);
    if (entry) serve(exchange, entry, now);
    return entry != nullptr;
  });
}

void CachedAnswers::serve(Exchange& exchange, const ResponseCache::EntryPointer& entry,
                          SteadyTime now) {
  // Before it is answered, when its request is another's.
  if (!entry->is_fresh(now)) revalidation_.ask(exchange, entry);
  if (take_at_once(exchange, now)) answer(exchange, entry, now);
}

}  // namespace prowingen::response_cache
