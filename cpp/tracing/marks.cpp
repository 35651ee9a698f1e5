#include "tracing/marks.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "tracing/random_text.h"
#include "tracing/trace_context.h"

namespace prowingen::tracing {
namespace {

constexpr std::string_view request_start_field = "X-Request-Start";
constexpr std::string_view queue_start_field = "X-Queue-Start";  // agents read this one, too
constexpr std::string_view trace_state_field = "tracestate";
constexpr std::size_t longest_request_id = 128;

// The fields of one name.
struct Found {
  std::size_t count = 0;
  std::string_view first;

  // Empty: there is none, or there are several, of which nobody knows the right one.
  std::string_view only() const { return count == 1 ? first : std::string_view(); }
};

Found find(const RequestHead& head, std::string_view name) {
  Found found;
  for (const FieldLine& field : head.fields()) {
    if (!equals_ignoring_case(head.view(field.name), name)) continue;
    if (found.count++ == 0) found.first = head.view(field.value);
  }
  return found;
}

void replace(RequestHead& head, const Found& found, std::string_view name, std::string_view value) {
  if (found.count != 0) head.remove_fields(name);
  head.add_field(name, value);
}

void set_request_start(RequestHead& head, SteadyTime received_at, bool believed) {
  const auto told = find(head, request_start_field);
  if (believed && told.count != 0) return;
  using std::chrono::system_clock;
  const auto since = std::chrono::steady_clock::now() - received_at;
  const auto when = system_clock::now() - std::chrono::duration_cast<system_clock::duration>(since);
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch());
  replace(head, told, request_start_field, "t=" + std::to_string(micros.count()));
  if (!believed) head.remove_fields(queue_start_field);
}

void set_trace_context(RequestHead& head) {
  const auto told = find(head, trace_parent_field);
  if (is_trace_parent(told.only())) return;
  // Of a trace that nobody knows.
  if (find(head, trace_state_field).count != 0) head.remove_fields(trace_state_field);
  replace(head, told, trace_parent_field, view_of(make_trace_parent()));
}

bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= longest_request_id &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
}

void set_request_id(RequestHead& head, bool believed) {
  const auto told = find(head, request_id_field);
  if (believed && is_request_id(told.only())) return;
  replace(head, told, request_id_field, view_of(make_uuid()));
}

}  // namespace

std::vector<std::string_view> marks_of_answers(bool request_id, bool trace_response) {
  std::vector<std::string_view> marks;
  if (request_id) marks.push_back(request_id_field);
  if (trace_response) marks.push_back(trace_parent_field);
  return marks;
}

void set_marks(const Marks& marks, Exchange& exchange) {
  RequestHead& head = exchange.request;
  const bool believed = exchange.peer->from_proxy;
  if (marks.request_start) set_request_start(head, exchange.received_at, believed);
  if (marks.trace_context) set_trace_context(head);
  if (marks.request_id) set_request_id(head, believed);
}

Marking::Marking(const Marks& marks, RequestSink& next) : marks_(marks), next_(next) {
  // Better now than with the first request.
  if (marks_.trace_context || marks_.request_id) static_cast<void>(make_uuid());
}

std::size_t Marking::submit(std::span<const std::shared_ptr<Exchange>> exchanges) {
  for (const auto& exchange : exchanges) set_marks(marks_, *exchange);
  return next_.submit(exchanges);
}

}  // namespace prowingen::tracing
