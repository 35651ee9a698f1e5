#include "response_cache/revalidation.h"

#include <algorithm>
#include <array>
#include <utility>

namespace prowingen::response_cache {
namespace {

// What is true of the client's own copy.
bool is_condition(std::string_view name) {
  constexpr std::array<std::string_view, 3> names{"If-None-Match", "If-Modified-Since", "If-Range"};
  return std::ranges::any_of(names, [&](auto each) { return equals_ignoring_case(name, each); });
}

void copy_request(const Exchange& from, Exchange& to) {
  to.request.set_request_line("GET", from.request.target(), from.request.version);
  for (const FieldLine& field : from.request.fields()) {
    const auto name = from.request.view(field.name);
    if (!is_condition(name)) to.request.add_field(name, from.request.view(field.value));
  }
  to.peer = from.peer;
  to.listener = from.listener;
  to.received_at = std::chrono::steady_clock::now();
  to.finish_body();
}

}  // namespace

void Revalidation::ask(const Exchange& client, const ResponseCache::EntryPointer& entry) {
  if (entry->is_asked_for.exchange(true)) return;
  auto exchange = std::make_shared<Exchange>(*this);
  copy_request(client, *exchange);
  // What may not be kept is not asked for.
  const bool begun = fit_of(*exchange).may_be_kept && enter({exchange, entry}) &&
                     workers_.submit({&exchange, 1}) == 1;
  if (begun) return;
  leave(*exchange);
  entry->is_asked_for = false;
}

bool Revalidation::enter(const Asked& asked) {
  const std::lock_guard lock(mutex_);
  if (stopped_ || under_way_.size() >= most_) return false;
  under_way_.push_back(asked);
  return true;
}

ResponseCache::EntryPointer Revalidation::leave(const Exchange& exchange) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(
      under_way_, [&](const Asked& each) { return each.exchange.get() == &exchange; });
  if (found == under_way_.end()) return nullptr;
  auto entry = std::move(found->entry);
  under_way_.erase(found);
  return entry;
}

void Revalidation::stop() {
  std::vector<Asked> ended;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    ended.swap(under_way_);
  }
  for (const Asked& each : ended) each.exchange->depart(Departure::server_stopped);
}

// On the thread that pushed it.
void Revalidation::output_ready(std::shared_ptr<Exchange> exchange, bool) {
  Exchange::Output output;
  exchange->take_output(output);
  if (!output.finished && !output.aborted) return;
  const auto entry = leave(*exchange);
  if (!entry) return;  // it is over
  if (output.finished) exchange->written();
  // One that was kept has taken its place by now. What failed says nothing; what may not be kept
  // says that this is no more so.
  const bool failed = output.aborted || exchange->sent_head().status >= 500;
  if (!failed) cache_.remove(*entry);
  entry->is_asked_for = false;
}

void Revalidation::body_wanted(std::shared_ptr<Exchange>) {}     // it has none
void Revalidation::client_doubted(std::shared_ptr<Exchange>) {}  // nor a client
void Revalidation::flush() {}                                    // nor anything that waits

}  // namespace prowingen::response_cache
