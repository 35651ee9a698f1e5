#include "http/preconditions.h"

#include <optional>

#include "http/date.h"
#include "http/octets.h"

namespace prowingen {
namespace {

constexpr std::string_view weak = "W/";

std::string_view opaque_tag(std::string_view tag) {
  return tag.starts_with(weak) ? tag.substr(weak.size()) : tag;
}

bool same_weakly(std::string_view a, std::string_view b) { return opaque_tag(a) == opaque_tag(b); }

bool same_strongly(std::string_view a, std::string_view b) {
  return a == b && !a.starts_with(weak);
}

// The tag that a text begins with, which is taken off it; empty if there is none.
std::string_view take_tag(std::string_view& text) {
  const std::size_t open = text.starts_with(weak) ? weak.size() : 0;
  if (open == text.size() || text[open] != '"') return {};
  const auto close = text.find('"', open + 1);
  if (close == std::string_view::npos) return {};
  const auto tag = text.substr(0, close + 1);
  text.remove_prefix(tag.size());
  return tag;
}

// Whether a list of tags has this one, or is the asterisk. What is behind a mistake is not read.
template <typename Same>
bool list_has(std::string_view list, std::string_view tag, Same same) {
  if (trim(list) == "*") return true;
  while (!list.empty()) {
    list = trim(list);
    if (list.starts_with(',')) {
      list.remove_prefix(1);
      continue;
    }
    const auto listed = take_tag(list);
    if (listed.empty()) return false;
    if (same(listed, tag)) return true;
  }
  return false;
}

// Of a field that may come in several lines; nothing if it did not come.
template <typename Same>
std::optional<bool> field_has(const RequestHead& request, std::string_view name,
                              std::string_view tag, Same same) {
  std::optional<bool> found;
  for (const FieldLine& field : request.fields()) {
    if (!equals_ignoring_case(request.view(field.name), name)) continue;
    found = found.value_or(false) || list_has(request.view(field.value), tag, same);
  }
  return found;
}

// Nothing too of one that came twice, or is no date.
std::optional<std::time_t> date_in(const RequestHead& request, std::string_view name) {
  std::optional<std::string_view> text;
  for (const FieldLine& field : request.fields()) {
    if (!equals_ignoring_case(request.view(field.name), name)) continue;
    if (text) return std::nullopt;
    text = request.view(field.value);
  }
  return text ? parse_http_date(trim(*text)) : std::nullopt;
}

}  // namespace

Precondition check_preconditions(const RequestHead& request, const Validators& current) {
  using enum Precondition;
  if (const auto matches = field_has(request, "if-match", current.entity_tag, same_strongly)) {
    if (!*matches) return failed;
  } else if (const auto date = date_in(request, "if-unmodified-since")) {
    if (current.modified > *date) return failed;
  }
  if (const auto known = field_has(request, "if-none-match", current.entity_tag, same_weakly)) {
    return *known ? not_modified : met;
  }
  const auto date = date_in(request, "if-modified-since");
  return date && current.modified <= *date ? not_modified : met;
}

bool may_send_range(const RequestHead& request, const Validators& current, std::time_t now) {
  std::optional<std::string_view> condition;
  unsigned ranges = 0;
  unsigned conditions = 0;
  for (const FieldLine& field : request.fields()) {
    const auto name = request.view(field.name);
    if (equals_ignoring_case(name, "range")) ++ranges;
    if (!equals_ignoring_case(name, "if-range")) continue;
    condition = trim(request.view(field.value));
    ++conditions;
  }
  if (ranges > 1 || conditions > 1) return false;  // neither is a list
  if (!condition) return true;
  const std::string_view text = *condition;
  if (text.find('"') != std::string_view::npos) return same_strongly(text, current.entity_tag);
  // Within the second of a change its date may be that of two contents.
  return parse_http_date(text) == current.modified && current.modified + 1 < now;
}

}  // namespace prowingen
