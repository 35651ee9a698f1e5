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

// With these the application says what its octets are: others would make it untrue (RFC 9530, and
// RFC 9110 section 14.4 for ranges).
constexpr std::array<std::string_view, 6> fields_against{
    "Content-Encoding", "Content-Range", "Content-Digest", "Repr-Digest", "Digest", "Content-MD5"};
constexpr std::size_t first_digest = 2;

// What is no longer so of other octets.
constexpr std::array<std::string_view, 2> fields_untrue{"Content-Length", "Accept-Ranges"};

bool is_any_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::any_of(
      names, [&](std::string_view other) { return equals_ignoring_case(name, other); });
}

constexpr bool has_content_to_code(int status) {
  return status >= 200 && status != 204 && status != 205 && status != 206 && status != 304;
}

// A tag that is weak already, or is none, stays.
std::string weak(std::string_view tag) {
  return tag.starts_with('"') ? "W/" + std::string(tag) : std::string(tag);
}

bool is_digest(std::string_view name) {
  return is_any_of(name, std::span(fields_against).subspan(first_digest));
}

// With what is so of an answer that depends on Accept-Encoding, and of one that was coded. `Vary`
// is one line: not every cache reads two.
void rewrite(ResponseHead& head, bool coded) {
  ResponseHead marked;
  marked.status = head.status;
  marked.reason = head.reason;
  marked.has_date = head.has_date;
  marked.has_server = head.has_server;
  marked.closes = head.closes;
  std::string vary;
  for (const FieldLine& field : head.fields()) {
    const auto name = head.view(field.name);
    const auto value = head.view(field.value);
    if (equals_ignoring_case(name, "Vary")) {
      if (!trim(value).empty()) vary.append(vary.empty() ? "" : ", ").append(trim(value));
    } else if (coded && equals_ignoring_case(name, "ETag")) {
      marked.add_field(name, weak(value));
    } else if (!coded || !is_any_of(name, fields_untrue)) {
      marked.add_field(name, value);
    }
  }
  if (!list_has(vary, "*") && !list_has(vary, "Accept-Encoding")) {
    vary.append(vary.empty() ? "" : ", ").append("Accept-Encoding");
  }
  marked.add_field("Vary", vary);
  head = std::move(marked);
}

std::string_view first_value(const ResponseHead& head, std::string_view name) {
  for (const FieldLine& field : head.fields()) {
    if (equals_ignoring_case(head.view(field.name), name)) return head.view(field.value);
  }
  return {};
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
    const bool announces_digest =
        equals_ignoring_case(name, "Trailer") &&
        for_each_member(head.view(field.value), [](std::string_view it) { return is_digest(it); });
    if (announces_digest) return false;
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
  rewrite(head, coding.has_value());
  if (coding) head.add_field("Content-Encoding", token(*coding));
}

void mark_not_modified(ResponseHead& head, const RequestHead& request) {
  const auto tag = first_value(head, "ETag");
  if (!tag.starts_with('"')) return;
  const auto ours = weak(tag);
  for (const FieldLine& field : request.fields()) {
    if (!equals_ignoring_case(request.view(field.name), "If-None-Match")) continue;
    // A tag may have a comma in it; what is looked for has none more than it had.
    if (request.view(field.value).find(ours) != std::string_view::npos) {
      return rewrite(head, true);
    }
  }
}

std::unique_ptr<FieldSection> without_digests(std::unique_ptr<FieldSection> trailers) {
  const auto fields = trailers->fields();
  const auto is_untrue = [&](const FieldLine& field) {
    return is_digest(trailers->view(field.name));
  };
  if (std::ranges::none_of(fields, is_untrue)) return trailers;
  auto kept = std::make_unique<FieldSection>();
  for (const FieldLine& field : fields) {
    if (!is_untrue(field)) kept->add_field(trailers->view(field.name), trailers->view(field.value));
  }
  return kept->fields().empty() ? nullptr : std::move(kept);
}

}  // namespace prowingen::compression
