#include "response_cache/recording.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "http/date.h"

namespace prowingen::response_cache {
namespace {

std::string_view first_field(const ResponseHead& head, std::string_view name) {
  for (const FieldLine& field : head.fields()) {
    if (equals_ignoring_case(head.view(field.name), name)) return head.view(field.value);
  }
  return {};
}

// Fields that tell what the content is, which a client that knows it has (RFC 9110 section 15.4.5).
bool is_about_content(std::string_view name) {
  constexpr std::array<std::string_view, 4> names{"Content-Type", "Content-Length",
                                                  "Content-Encoding", "Content-Language"};
  return std::ranges::any_of(names, [&](auto each) { return equals_ignoring_case(name, each); });
}

void copy_head(const ResponseHead& from, Entry& to) {
  const auto begin = [&](ResponseHead& head, int status) {
    head.status = status;
    head.has_date = from.has_date;
    head.has_server = from.has_server;
  };
  begin(to.head, from.status);
  to.head.reason = from.reason;
  begin(to.not_modified, 304);
  to.not_modified.reason = reason_phrase(304);
  const auto add = [&](std::string_view name, std::string_view value) {
    to.head.add_field(name, value);
    if (!is_about_content(name)) to.not_modified.add_field(name, value);
  };
  for (const FieldLine& field : from.fields()) {
    const auto name = from.view(field.name);
    to.has_length |= equals_ignoring_case(name, "Content-Length");
    if (!equals_ignoring_case(name, "Age")) add(name, from.view(field.value));
  }
}

// Without a date none is later: who asks by one gets the answer.
void copy_validators(Entry& entry) {
  entry.entity_tag = first_field(entry.head, "ETag");
  entry.modified = parse_http_date(first_field(entry.head, "Last-Modified"))
                       .value_or(std::numeric_limits<std::time_t>::max());
}

}  // namespace

std::unique_ptr<Recording> Recording::begin(Exchange& exchange, std::uint64_t most, bool dates) {
  ResponseHead& head = exchange.response;
  const ResponseBody& body = exchange.response_body;
  const auto now = std::time(nullptr);
  // In this order: of most answers the first tells.
  const auto lifetime = lifetime_of(head, now);
  if (!lifetime || !body.allowed || body.opaque || !fit_of(exchange).may_be_kept) return nullptr;
  auto varies = varies_by(head);
  if (!varies || (body.length_known && body.length > most)) return nullptr;

  std::unique_ptr<Recording> recording(new Recording(most));
  recording->varies_ = std::move(*varies);
  Entry& entry = *recording->entry_;
  entry.uri = uri_key(exchange);
  entry.lifetime = *lifetime;
  entry.asked_at = exchange.taken_at;
  entry.made_at = std::chrono::steady_clock::now();
  if (dates && !head.has_date) {
    head.add_field("Date", http_date(now));
    head.has_date = true;
  }
  copy_head(head, entry);
  copy_validators(entry);
  if (body.length_known) {
    entry.body.reserve(static_cast<std::size_t>(body.length));
    recording->announced_ = body.length;
  }
  if (entry.head.wire().size() > most) return nullptr;
  return recording;
}

bool Recording::add(const Chunk& chunk) {
  const auto bytes = chunk.bytes();
  if (bytes.size() != chunk.size()) return false;  // a file
  if (entry_->head.wire().size() + entry_->body.size() + bytes.size() > most_) return false;
  entry_->body.append(bytes);
  return true;
}

std::unique_ptr<Entry> Recording::finish() {
  if (announced_ && *announced_ != entry_->body.size()) return nullptr;
  entry_->body.shrink_to_fit();
  return std::move(entry_);
}

}  // namespace prowingen::response_cache
