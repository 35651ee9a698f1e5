#include "response_cache/response_cache.h"

#include <utility>

#include "response_cache/storability.h"

namespace prowingen::response_cache {

ResponseCache::EntryPointer ResponseCache::find(const Exchange& exchange, SteadyTime now) {
  if (!fit_of(exchange).may_be_answered) return nullptr;
  auto entry = store_.find(uri_key(exchange), exchange.request, now);
  if (!entry) {
    misses_.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  hits_.fetch_add(1, std::memory_order_relaxed);
  if (!entry->is_fresh(now)) stale_hits_.fetch_add(1, std::memory_order_relaxed);
  return entry;
}

std::unique_ptr<Recording> ResponseCache::begin(Exchange& exchange) {
  if (is_safe(exchange.request.method())) {
    return Recording::begin(exchange, rules_.longest_answer, rules_.dates);
  }
  const int status = exchange.response.status;
  const bool has_changed = status >= 200 && status < 400;
  if (!has_changed) return nullptr;
  if (const auto uri = uri_key(exchange); !uri.empty()) store_.remove(uri);
  return nullptr;
}

void ResponseCache::keep(Recording& recording, const Exchange& exchange) {
  if (auto entry = recording.finish()) {
    store_.keep(std::move(entry), exchange.request, recording.varies());
  }
}

ResponseCache::Counters ResponseCache::counters() const {
  Counters counters;
  static_cast<Store::Counters&>(counters) = store_.counters();
  counters.hits = hits_.load(std::memory_order_relaxed);
  counters.stale_hits = stale_hits_.load(std::memory_order_relaxed);
  counters.misses = misses_.load(std::memory_order_relaxed);
  return counters;
}

}  // namespace prowingen::response_cache
