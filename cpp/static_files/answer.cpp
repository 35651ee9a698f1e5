#include "static_files/answer.h"

#include <array>
#include <limits>
#include <random>
#include <string>
#include <utility>

#include "http/content_coding.h"
#include "http/preconditions.h"
#include "http/ranges.h"
#include "http/request_target.h"
#include "http/response_policy.h"

namespace prowingen::static_files {
namespace {

constexpr auto no_high_water = std::numeric_limits<std::size_t>::max();

using FilePointer = std::shared_ptr<const File>;

const Representation& choose(const RequestHead& request, const File& file) {
  std::array<std::string_view, 8> codings;
  const std::size_t count = file.representations.size() - 1;
  for (std::size_t i = 0; i < count; ++i) codings[i] = file.representations[i + 1].coding;
  const auto chosen = choose_coding(request, std::span(codings).first(count));
  return file.representations[chosen ? *chosen + 1 : 0];
}

void begin(Exchange& exchange, int status, const AnswerRules& rules) {
  exchange.response.clear();
  exchange.response.status = status;
  exchange.response.reason = reason_phrase(status);
  exchange.response_body = {};
  exchange.response_body.allowed = response_has_content(exchange.request.method(), status);
  if (!rules.transport_security.empty() && exchange.peer->scheme == "https") {
    exchange.response.add_field("Strict-Transport-Security", rules.transport_security);
  }
}

void declare(Exchange& exchange, std::uint64_t length) {
  exchange.response_body.length_known = exchange.response_body.add_length_field = true;
  exchange.response_body.length = length;
}

// What a client keeps the answer by (RFC 9110 section 15.4.5: of a 304, too).
void add_caching(ResponseHead& head, const File& file, const Representation& chosen,
                 std::chrono::seconds max_age) {
  head.add_field("ETag", chosen.entity_tag);
  head.add_field("Last-Modified", file.last_modified);
  if (file.immutable) {
    head.add_field("Cache-Control", "public, max-age=31536000, immutable");
  } else if (max_age.count() == 0) {
    head.add_field("Cache-Control", "no-cache");
  } else {
    head.add_field("Cache-Control", "public, max-age=" + std::to_string(max_age.count()));
  }
  if (file.representations.size() > 1) head.add_field("Vary", "Accept-Encoding");
}

void push(Exchange& exchange, Chunk chunk, bool last) {
  const bool sent = exchange.response_body.allowed;
  exchange.push(sent ? std::move(chunk) : Chunk(), no_high_water, last);
}

void send_without_content(Exchange& exchange) {
  if (exchange.response.status != 304) declare(exchange, 0);
  push(exchange, {}, true);
}

void send_whole(Exchange& exchange, const FilePointer& file, const Representation& chosen) {
  declare(exchange, chosen.size());
  push(exchange, chosen.part(0, chosen.size(), file), true);
}

void send_part(Exchange& exchange, const FilePointer& file, const Representation& chosen,
               const ByteRange& range) {
  exchange.response.add_field("Content-Range", content_range(range, chosen.size()));
  declare(exchange, range.length);
  push(exchange, chosen.part(range.first, range.length, file), true);
}

// No content has it, as far as can be.
std::string make_boundary() {
  static thread_local std::mt19937_64 draw{std::random_device{}()};
  constexpr std::string_view digits = "0123456789abcdef";
  std::string boundary;
  for (std::uint64_t i = 0, bits = draw(); i < 16; ++i, bits >>= 4) boundary += digits[bits & 15];
  return boundary + boundary.substr(0, 4);
}

// multipart/byteranges (RFC 9110 section 14.6).
void send_parts(Exchange& exchange, const FilePointer& file, const Representation& chosen,
                const std::vector<ByteRange>& ranges) {
  const std::string boundary = make_boundary();
  const std::string end = "\r\n--" + boundary + "--\r\n";
  std::vector<std::string> heads;
  std::uint64_t length = end.size();
  for (const ByteRange& range : ranges) {
    heads.push_back("\r\n--" + boundary + "\r\nContent-Type: " + file->content_type +
                    "\r\nContent-Range: " + content_range(range, chosen.size()) + "\r\n\r\n");
    length += heads.back().size() + range.length;
  }
  exchange.response.add_field("Content-Type", "multipart/byteranges; boundary=" + boundary);
  declare(exchange, length);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    push(exchange, Chunk(std::move(heads[i])), false);
    push(exchange, chosen.part(ranges[i].first, ranges[i].length, file), false);
  }
  push(exchange, Chunk(end), true);
}

WantedRanges wanted_ranges(const RequestHead& request, const Representation& chosen,
                           const Validators& current) {
  const auto value = request.first("range");
  if (value.empty() || request.method() != "GET" || !may_send_range(request, current)) return {};
  return parse_ranges(value, chosen.size());
}

}  // namespace

void answer(Exchange& exchange, const FilePointer& file, const AnswerRules& rules) {
  const RequestHead& request = exchange.request;
  const Representation& chosen = choose(request, *file);
  const Validators current{chosen.entity_tag, file->modified};
  const auto precondition = check_preconditions(request, current);
  if (precondition == Precondition::failed) {
    begin(exchange, 412, rules);
    return send_without_content(exchange);
  }
  const bool known = precondition == Precondition::not_modified;
  const WantedRanges wanted = known ? WantedRanges{} : wanted_ranges(request, chosen, current);
  using Kind = WantedRanges::Kind;
  if (wanted.kind == Kind::unsatisfiable) {
    begin(exchange, 416, rules);
    exchange.response.add_field("Content-Range", "bytes */" + std::to_string(chosen.size()));
    return send_without_content(exchange);
  }
  begin(exchange, known ? 304 : wanted.kind == Kind::parts ? 206 : 200, rules);
  ResponseHead& head = exchange.response;
  add_caching(head, *file, chosen, rules.max_age);
  if (known) return send_without_content(exchange);
  head.add_field("Accept-Ranges", "bytes");
  if (!chosen.coding.empty()) head.add_field("Content-Encoding", chosen.coding);
  if (wanted.parts.size() > 1) return send_parts(exchange, file, chosen, wanted.parts);
  head.add_field("Content-Type", file->content_type);
  if (wanted.parts.size() == 1) return send_part(exchange, file, chosen, wanted.parts.front());
  send_whole(exchange, file, chosen);
}

void redirect_to_folder(Exchange& exchange, const AnswerRules& rules) {
  const TargetParts target = split_target(exchange.request.target());
  begin(exchange, 301, rules);
  std::string location(target.path);
  location += '/';
  if (!target.query.empty()) location.append("?").append(target.query);
  exchange.response.add_field("Location", location);
  send_without_content(exchange);
}

}  // namespace prowingen::static_files
