#include "static_files/answer.h"

#include <algorithm>
#include <array>
#include <random>
#include <span>
#include <utility>

#include "http/content_coding.h"
#include "http/date.h"
#include "http/preconditions.h"
#include "http/ranges.h"
#include "http/refusal.h"
#include "http/request_target.h"
#include "http/response_policy.h"

namespace prowingen::static_files {
namespace {

using FilePointer = std::shared_ptr<const File>;

constexpr std::string_view coding_field = "Content-Encoding";

const Representation& choose(const RequestHead& request, const File& file) {
  std::array<std::string_view, most_codings> codings;
  const std::size_t count = file.representations.size() - 1;
  for (std::size_t i = 0; i < count; ++i) codings[i] = file.representations[i + 1].coding;
  const auto chosen = choose_coding(request, std::span(codings).first(count));
  return file.representations[chosen ? *chosen + 1 : 0];
}

void begin(ResponseHead& head, int status) {
  head.clear();
  head.status = status;
  head.reason = reason_phrase(status);
}

// No content has it, as far as can be.
std::string make_boundary() {
  static thread_local std::mt19937_64 draw{
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count())};
  constexpr std::string_view digits = "0123456789abcdef";
  std::string boundary;
  for (std::uint64_t i = 0, bits = draw(); i < 16; ++i, bits >>= 4) boundary += digits[bits & 15];
  return boundary;
}

std::string_view first_field(const ResponseHead& head, std::string_view name) {
  for (const FieldLine& field : head.fields()) {
    if (equals_ignoring_case(head.view(field.name), name)) return head.view(field.value);
  }
  return {};
}

// One answer, as it is made. What an application has said of it goes first.
class Maker {
 public:
  // `is_coded`: the octets of the file are of a content coding, which the answer says.
  Maker(const RequestHead& request, FilePointer file, const Representation& chosen,
        ResponseHead& head, bool is_coded)
      : request_(request),
        file_(std::move(file)),
        chosen_(chosen),
        head_(head),
        is_coded_(is_coded) {}

  // Whether, and which parts of it, the client is to have; sets the status.
  void decide(const Validators& current) {
    switch (check_preconditions(request_, current)) {
      case Precondition::failed: return begin(head_, 412);
      case Precondition::not_modified: return begin(head_, 304);
      case Precondition::met: break;
    }
    // Of other methods a range means nothing (section 14.2).
    const auto value = request_.first("range");
    if (!value.empty() && request_.method() == "GET" && may_send_range(request_, current)) {
      wanted_ = parse_ranges(value, chosen_.size());
      // Several parts are of no coding, but what is in them.
      if (is_coded_ && wanted_.parts.size() > 1) wanted_ = {};
    }

    using Kind = WantedRanges::Kind;
    begin(head_, wanted_.kind == Kind::whole ? 200 : wanted_.kind == Kind::parts ? 206 : 416);
  }

  bool sends_file() const { return head_.status != 304 && head_.status < 400; }

  // The fields that tell what the content is, and the content.
  Content content(std::string_view type) {
    if (head_.status == 416) {
      head_.add_field("Content-Range", "bytes */" + std::to_string(chosen_.size()));
    }
    if (head_.status == 304) return {};
    Content content{0, {}};
    if (head_.status == 412 || head_.status == 416) return content;
    return whole_or_parts(type);
  }

  Content whole_or_parts(std::string_view type) {
    Content content{0, {}};
    head_.add_field("Accept-Ranges", "bytes");
    if (wanted_.parts.size() > 1) {
      add_parts(content, type);
    } else {
      const bool whole = wanted_.parts.empty();
      const ByteRange range = whole ? ByteRange{0, chosen_.size()} : wanted_.parts.front();
      if (!whole) head_.add_field("Content-Range", content_range(range, chosen_.size()));
      head_.add_field("Content-Type", type);
      add(content, chosen_.part(range.first, range.length, file_));
    }
    if (!response_has_content(request_.method(), head_.status)) content.chunks.clear();
    return content;
  }

 private:
  static void add(Content& content, Chunk chunk) {
    *content.length += chunk.size();
    content.chunks.push_back(std::move(chunk));
  }

  // multipart/byteranges (section 14.6).
  void add_parts(Content& content, std::string_view type) {
    const std::string boundary = make_boundary();
    for (const ByteRange& range : wanted_.parts) {
      std::string part = "\r\n--" + boundary + "\r\nContent-Type: ";
      part.append(type).append("\r\nContent-Range: ");
      part.append(content_range(range, chosen_.size())).append("\r\n\r\n");
      add(content, Chunk(std::move(part)));
      add(content, chosen_.part(range.first, range.length, file_));
    }
    add(content, Chunk("\r\n--" + boundary + "--\r\n"));
    head_.add_field("Content-Type", "multipart/byteranges; boundary=" + boundary);
  }

  const RequestHead& request_;
  const FilePointer file_;
  const Representation& chosen_;
  ResponseHead& head_;
  const bool is_coded_;
  WantedRanges wanted_;
};

// What a client keeps the answer by (section 15.4.5: of a 304, too).
void add_caching(ResponseHead& head, const File& file, const Representation& chosen,
                 MaxAge max_age) {
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

// Fields that say how much of the file is sent, which is not known to who names it.
bool is_about_extent(std::string_view name) {
  constexpr std::array<std::string_view, 3> names{"Content-Length", "Content-Range",
                                                  "Accept-Ranges"};
  return std::ranges::any_of(names, [&](auto each) { return equals_ignoring_case(name, each); });
}

}  // namespace

Content answer(const RequestHead& request, const FilePointer& file, MaxAge max_age,
               ResponseHead& head) {
  const Representation& chosen = choose(request, *file);
  Maker maker(request, file, chosen, head, !chosen.coding.empty());
  maker.decide({chosen.entity_tag, file->modified});
  if (head.status < 400) add_caching(head, *file, chosen, max_age);
  if (maker.sends_file() && !chosen.coding.empty()) {
    head.add_field(coding_field, chosen.coding);
  }
  return maker.content(file->content_type);
}

Content complete_answer(const RequestHead& request, const FilePointer& file, ResponseHead& head) {
  const ResponseHead own = std::exchange(head, {});
  const Representation& chosen = file->representations.front();
  Maker maker(request, file, chosen, head, !first_field(own, coding_field).empty());
  const auto own_tag = first_field(own, "ETag");
  const auto own_modified = first_field(own, "Last-Modified");
  const auto own_date = parse_http_date(own_modified);

  // An application that looked at the range itself has sent 206, and means the same by it.
  // What it did for another method cannot be undone by a condition.
  const bool reads = request.method() == "GET" || request.method() == "HEAD";
  if (reads && (own.status == 200 || own.status == 206)) {
    maker.decide({own_tag.empty() ? std::string_view(chosen.entity_tag) : own_tag,
                  own_date.value_or(file->modified)});
  } else {
    begin(head, own.status);
    head.reason = own.reason;
  }
  head.has_date = own.has_date;
  head.has_server = own.has_server;
  head.closes = own.closes;
  const bool has_none = head.status != own.status && !maker.sends_file();
  const auto own_type = first_field(own, "Content-Type");
  for (const FieldLine& field : own.fields()) {
    const auto name = own.view(field.name);
    const bool ours = is_about_extent(name) || equals_ignoring_case(name, "Content-Type");
    const bool is_of_content = equals_ignoring_case(name, coding_field);
    if (!ours && !(has_none && is_of_content)) head.add_field(name, own.view(field.value));
  }
  if (own_tag.empty()) head.add_field("ETag", chosen.entity_tag);
  if (own_modified.empty()) head.add_field("Last-Modified", file->last_modified);
  return maker.content(own_type.empty() ? std::string_view(file->content_type) : own_type);
}

Content redirect_to_folder(const RequestHead& request, ResponseHead& head) {
  const TargetParts target = split_target(request.target());
  begin(head, 301);
  // Relative: a proxy may show it elsewhere.
  std::string location = "./";
  location.append(target.path.substr(target.path.rfind('/') + 1)).append("/");

  if (!target.query.empty()) location.append("?").append(target.query);
  head.add_field("Location", location);
  return {0, {}};
}

Content refuse_for_now(ResponseHead& head) {
  begin(head, short_of_descriptors.status);
  head.add_field("Content-Type", "text/plain; charset=utf-8");
  head.add_field("Retry-After", "1");
  std::string page = refusal_page(short_of_descriptors);
  Content content{page.size(), {}};
  content.chunks.emplace_back(std::move(page));
  return content;
}

}  // namespace prowingen::static_files
