#include "compression/rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/options.h"
#include "http/content_coding.h"
#include "http/lists.h"
#include "http/octets.h"

namespace prowingen::compression {
namespace {

// By `Coding`: what a level may be, and what it is if none is said. docs/architecture.md has the
// figures that these were chosen by.
struct Levels {
  int least;
  int most;
  int usual;
};
constexpr std::array<Levels, coding_count> levels{{{1, 19, 3}, {0, 11, 4}, {1, 9, 5}}};

// With these the application says what its octets are: others would make it untrue (RFC 9530, and
// RFC 9110 section 14.4 for ranges).
constexpr std::array<std::string_view, 6> fields_against{
    "Content-Encoding", "Content-Range", "Content-Digest", "Repr-Digest", "Digest", "Content-MD5"};

// What is no longer so of other octets.
constexpr std::array<std::string_view, 2> fields_untrue{"Content-Length", "Accept-Ranges"};

bool is_any_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::any_of(
      names, [&](std::string_view other) { return equals_ignoring_case(name, other); });
}

constexpr bool has_content_to_code(int status) {
  return status >= 200 && status != 204 && status != 205 && status != 206 && status != 304;
}

std::string weak(std::string_view tag) {
  return tag.starts_with("W/") ? std::string(tag) : "W/" + std::string(tag);
}

}  // namespace

Offer parse_offer(std::string_view text) {
  const auto colon = std::min(text.find(':'), text.size());
  const auto found = std::ranges::find(tokens, text.substr(0, colon));
  if (found == tokens.end()) throw std::logic_error("no coding: " + std::string(text));
  const auto which = static_cast<std::size_t>(found - tokens.begin());
  int level = levels[which].usual;
  if (colon != text.size()) {
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, level);
    const bool fits = level >= levels[which].least && level <= levels[which].most;
    if (error != std::errc() || at != end || !fits) {
      throw std::logic_error("no level: " + std::string(text));
    }
  }
  return {static_cast<Coding>(which), level};
}

Rules::Rules(const Options& options)
    : min_size_(options.compress_min_size), types_(options.compress_types) {
  for (const auto& text : options.compress_codings) {
    coders_.push_back(std::make_shared<Coders>(parse_offer(text)));
    tokens_.push_back(token(coders_.back()->coding()));
  }
}

bool Rules::may_compress(const ResponseHead& head, std::optional<std::uint64_t> size) const {
  if (!has_content_to_code(head.status) || size == 0 || (size && *size < min_size_)) return false;
  bool is_type = false;
  for (const FieldLine& field : head.fields()) {
    const auto name = head.view(field.name);
    if (equals_ignoring_case(name, "Content-Type")) is_type = types_.match(head.view(field.value));
    if (is_any_of(name, fields_against)) return false;
    // RFC 9111 section 5.2.2.6: also how an application keeps a secret out of reach of BREACH.
    if (equals_ignoring_case(name, "Cache-Control") &&
        list_has(head.view(field.value), "no-transform")) {
      return false;
    }
  }
  return is_type;
}

std::shared_ptr<Coders> Rules::choose(const RequestHead& request) const {
  const auto which = choose_coding(request, tokens_);
  return which ? coders_[*which] : nullptr;
}

void mark_head(ResponseHead& head, std::optional<Coding> coding) {
  ResponseHead marked;
  marked.status = head.status;
  marked.reason = head.reason;
  marked.has_date = head.has_date;
  marked.has_server = head.has_server;
  marked.closes = head.closes;
  std::string vary;  // in one line: not every cache reads two
  for (const FieldLine& field : head.fields()) {
    const auto name = head.view(field.name);
    const auto value = head.view(field.value);
    if (equals_ignoring_case(name, "Vary")) {
      if (!trim(value).empty()) vary.append(vary.empty() ? "" : ", ").append(trim(value));
    } else if (coding && equals_ignoring_case(name, "ETag")) {
      marked.add_field(name, weak(value));
    } else if (!coding || !is_any_of(name, fields_untrue)) {
      marked.add_field(name, value);
    }
  }
  if (!list_has(vary, "*") && !list_has(vary, "Accept-Encoding")) {
    vary.append(vary.empty() ? "" : ", ").append("Accept-Encoding");
  }
  if (coding) marked.add_field("Content-Encoding", token(*coding));
  marked.add_field("Vary", vary);
  head = std::move(marked);
}

}  // namespace prowingen::compression
