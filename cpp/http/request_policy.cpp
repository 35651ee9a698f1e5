#include "http/request_policy.h"

#include <algorithm>
#include <limits>

#include "http/lists.h"
#include "http/octets.h"
#include "http/request_target.h"

namespace prowingen {
namespace {

constexpr HttpVersion http_1_0{1, 0};
constexpr HttpVersion http_1_1{1, 1};
constexpr std::string_view version_text = " HTTP/1.1";  // and the space before it
constexpr std::size_t line_overhead = 2;                // ": " between name and value
constexpr std::size_t crlf = 2;

Verdict refuse(RequestFault fault) { return &refusal(fault); }

/// Gathers the fields that mean something to HTTP itself, then weighs them against each other.
class HeaderSection {
 public:
  Verdict add(std::string_view name, std::string_view value) {
    // By length first: most fields are none of these, and few share a length with one.
    switch (name.size()) {
      case 4: return is_word(name, "host") ? add_host(value) : accepted;
      case 6: return is_word(name, "expect") ? add_expect(value) : accepted;
      case 7: return is_word(name, "upgrade") ? add_upgrade(value) : accepted;
      case 10: return is_word(name, "connection") ? add_connection(value) : accepted;
      case 14: return is_word(name, "content-length") ? add_length(value) : accepted;
      case 17: return is_word(name, "transfer-encoding") ? add_codings(value) : accepted;
      default: return accepted;
    }
  }

  Verdict conclude(const RequestHead& head, const RequestLimits& limits,
                   RequestSemantics& out) const {
    out = {};
    if (auto verdict = conclude_framing(head, limits, out)) return verdict;
    if (auto verdict = conclude_host(head, out)) return verdict;
    const bool is_1_0 = head.version == http_1_0;
    out.keep_alive = !close_ && (keep_alive_ || !is_1_0);
    const bool tunnels = head.method() == "CONNECT";
    if (tunnels && (out.framing == BodyFraming::chunked || out.content_length > 0)) {
      return refuse(RequestFault::connect_with_content);
    }
    // RFC 9110 7.8 and 10.1.1: of an HTTP/1.0 request Upgrade and Expect must be ignored.
    out.upgrade = tunnels || (has_upgrade_ && upgrade_option_ && !is_1_0);
    // Of HTTP/2 and 3 without a length, only the frames tell.
    const bool may_have_content = head.version.major >= 2 && out.framing == BodyFraming::none;
    const bool has_content =
        out.framing == BodyFraming::chunked || out.content_length > 0 || may_have_content;
    out.expects_continue = expects_continue_ && has_content && !is_1_0;
    return nullptr;
  }

 private:
  Verdict add_host(std::string_view value) {
    if (has_host_) return refuse(RequestFault::repeated_host);
    has_host_ = true;
    host_ = trim(value);
    return host_.empty() || is_valid_authority(host_) ? nullptr : refuse(RequestFault::bad_host);
  }

  Verdict add_length(std::string_view value) {
    if (has_length_) return refuse(RequestFault::repeated_content_length);
    has_length_ = true;
    const auto digits = trim(value);
    // Leading zeros are grammatical (RFC 9110 8.6: 1*DIGIT), and decimal all the same.
    if (digits.empty() || digits.size() > max_length_digits || !all_are(digits, Octet::digit)) {
      return refuse(RequestFault::bad_content_length);
    }
    constexpr auto max = std::numeric_limits<std::uint64_t>::max();
    for (const char c : digits) {
      const auto digit = static_cast<std::uint64_t>(c - '0');
      if (length_ > (max - digit) / 10) return refuse(RequestFault::bad_content_length);
      length_ = length_ * 10 + digit;
    }
    return nullptr;
  }

  Verdict add_codings(std::string_view value) {
    has_codings_ = true;
    return for_each_member(value, [this](std::string_view coding) {
      const auto semicolon = coding.find(';');
      const auto name = trim(coding.substr(0, semicolon));
      // Refuses empty members too. RFC 9110 5.6.1.2 would have them ignored, but whether
      // ", chunked" is chunked is just what recipients disagree on.
      if (!is_token(name)) return refuse(RequestFault::bad_transfer_encoding);
      if (!is_word(name, "chunked")) {
        if (chunked_) return refuse(RequestFault::chunked_not_final);
        unknown_coding_ = true;
        return accepted;
      }
      // RFC 9112 7.1: chunked has no parameters.
      if (semicolon != std::string_view::npos) return refuse(RequestFault::bad_transfer_encoding);
      if (chunked_) return refuse(RequestFault::repeated_chunked);
      chunked_ = true;
      return accepted;
    });
  }

  Verdict add_connection(std::string_view value) {
    return for_each_member(value, [this](std::string_view option) {
      if (!all_are(option, Octet::tchar)) return refuse(RequestFault::bad_connection);
      switch (option.size()) {
        case 5: close_ |= is_word(option, "close"); break;
        case 7: upgrade_option_ |= is_word(option, "upgrade"); break;
        case 10: keep_alive_ |= is_word(option, "keep-alive"); break;
        default: break;
      }
      return accepted;
    });
  }

  Verdict add_upgrade(std::string_view value) {
    has_upgrade_ |= !first_offer(value).empty();
    return accepted;
  }

  Verdict add_expect(std::string_view value) {
    return for_each_member(value, [this](std::string_view expectation) {
      if (expectation.empty()) return accepted;
      expects_continue_ = is_word(expectation, "100-continue");
      return expects_continue_ ? accepted : refuse(RequestFault::unknown_expectation);
    });
  }

  Verdict conclude_framing(const RequestHead& head, const RequestLimits& limits,
                           RequestSemantics& out) const {
    if (has_codings_) {
      if (has_length_) return refuse(RequestFault::length_and_transfer_encoding);
      if (head.version == http_1_0) return refuse(RequestFault::transfer_encoding_on_1_0);
      // Before 501: without a final chunked the body's end is unknown, and RFC 9112 6.3 says
      // "MUST respond with 400" where 6.1 says "SHOULD respond with 501".
      if (!chunked_) return refuse(RequestFault::chunked_not_final);
      if (unknown_coding_) return refuse(RequestFault::unknown_transfer_coding);
      out.framing = BodyFraming::chunked;
    } else if (has_length_) {
      if (auto verdict = check_body_size(length_, limits)) return verdict;
      out.framing = BodyFraming::content_length;
      out.content_length = length_;
    }
    // Neither: no body, whatever the method (RFC 9112 6.3), so there is nothing to ask 411 for.
    return nullptr;
  }

  Verdict conclude_host(const RequestHead& head, RequestSemantics& out) const {
    const bool is_1_0 = head.version == http_1_0;
    if (!has_host_ && !is_1_0) return refuse(RequestFault::missing_host);
    // RFC 9112 3.2.2: an absolute-form target overrides Host, which has to be valid all the same.
    const auto target = head.target();
    const auto authority =
        target.starts_with('/') ? std::string_view() : split_target(target).authority;
    out.host = authority.empty() ? host_ : authority;
    // No http(s) URI is without an authority (RFC 9110 4.2.1). RFC 9112 3.3 lets a server put a
    // default in its place; that would be a guess.
    return out.host.empty() && !is_1_0 ? refuse(RequestFault::missing_host) : nullptr;
  }

  static constexpr Verdict accepted = nullptr;

  std::string_view host_;
  std::uint64_t length_ = 0;
  bool has_host_ = false;
  bool has_length_ = false;
  bool has_codings_ = false;
  bool chunked_ = false;
  bool unknown_coding_ = false;
  bool close_ = false;
  bool keep_alive_ = false;
  bool upgrade_option_ = false;
  bool has_upgrade_ = false;
  bool expects_continue_ = false;
};

// Each of these takes what it is called after off the front of `text`; false if it is not there.

void skip_space(std::string_view& text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
}

bool skip_token(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is(text[size], Octet::tchar)) ++size;
  text.remove_prefix(size);
  return size > 0;
}

bool skip_quoted_string(std::string_view& text) {
  if (!text.starts_with('"')) return false;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\') ++i;
    if (i == text.size() || !is(text[i], Octet::field_octet)) return false;
  }
  return false;
}

/// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
bool is_chunk_extension(std::string_view text) {
  while (!text.empty()) {
    skip_space(text);
    if (!text.starts_with(';')) return false;
    text.remove_prefix(1);
    skip_space(text);
    if (!skip_token(text)) return false;
    auto value = text;
    skip_space(value);
    if (!value.starts_with('=')) continue;
    value.remove_prefix(1);
    skip_space(value);
    if (!skip_token(value) && !skip_quoted_string(value)) return false;
    text = value;
  }
  return true;
}

}  // namespace

HttpVersion served_version(HttpVersion version) {
  return version.major == 1 && version.minor > 1 ? http_1_1 : version;
}

Verdict check_request_line(std::string_view method, std::string_view target, HttpVersion version,
                           const RequestLimits& limits) {
  // The version first: whatever else is on the line is that version's to say.
  if (version.major != 1) return refuse(RequestFault::unsupported_version);
  if (!is_token(method)) return refuse(RequestFault::bad_method);
  if (method.size() > max_method_size) return refuse(RequestFault::method_too_long);
  if (method.size() + 1 + target.size() + version_text.size() > limits.max_request_line) {
    return refuse(RequestFault::request_line_too_long);
  }
  if (auto verdict = check_target(method, target)) return verdict;
  return method == "CONNECT" && !limits.allow_connect ? refuse(RequestFault::connect_unsupported)
                                                      : nullptr;
}

Verdict check_header_section(const RequestHead& head, const RequestLimits& limits,
                             RequestSemantics& out) {
  if (head.fields().size() > limits.max_header_fields) {
    return refuse(RequestFault::too_many_fields);
  }
  HeaderSection section;
  std::size_t section_size = 0;
  for (const FieldLine& field : head.fields()) {
    const auto size = std::size_t{field.name.size} + line_overhead + field.value.size;
    if (size > limits.max_field_line) return refuse(RequestFault::field_line_too_long);
    section_size += size + crlf;
    if (section_size > limits.max_header_bytes) return refuse(RequestFault::header_too_large);
    if (auto verdict = section.add(head.view(field.name), head.view(field.value))) return verdict;
  }
  return section.conclude(head, limits, out);
}

std::string_view first_offer(std::string_view upgrade) {
  std::string_view first;
  for_each_member(upgrade, [&first](std::string_view protocol) -> Verdict {
    if (first.empty() && !equals_ignoring_case(protocol, "h2c")) first = protocol;
    return nullptr;
  });
  return first;
}

std::vector<std::string_view> offered_protocols(const RequestHead& head) {
  std::vector<std::string_view> found;
  for (const FieldLine& field : head.fields()) {
    if (!equals_ignoring_case(head.view(field.name), "Upgrade")) continue;
    for_each_member(head.view(field.value), [&](std::string_view protocol) -> Verdict {
      if (!protocol.empty() && !equals_ignoring_case(protocol, "h2c")) found.push_back(protocol);
      return nullptr;
    });
  }
  return found;
}

bool offers(const RequestHead& head, std::string_view protocol) {
  return std::ranges::any_of(offered_protocols(head), [protocol](std::string_view offered) {
    return equals_ignoring_case(offered.substr(0, offered.find('/')), protocol);
  });
}

std::string_view plain_length(std::string_view digits) {
  if (digits.size() > max_length_digits) return digits;  // to be refused
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  return digits;
}

Verdict check_chunk_extension(std::string_view extension, const RequestLimits& limits) {
  if (extension.empty()) return nullptr;
  if (extension.size() > limits.max_chunk_extension) {
    return refuse(RequestFault::chunk_extension_too_long);
  }
  return is_chunk_extension(extension) ? nullptr : refuse(RequestFault::bad_chunk_extension);
}

Verdict check_body_size(std::uint64_t size, const RequestLimits& limits) {
  const bool fits = limits.max_body == 0 || size <= limits.max_body;
  return fits ? nullptr : refuse(RequestFault::body_too_large);
}

Verdict TrailerSection::add(std::string_view name, std::string_view value, bool folded,
                            const RequestLimits& limits) {
  const auto line = name.size() + line_overhead + value.size();
  size_ += line + crlf;
  ++count_;
  if (auto verdict = check_trailer_field(name, value, folded)) return verdict;
  if (size_ > limits.max_trailer_bytes) return refuse(RequestFault::trailers_too_large);
  if (count_ > limits.max_header_fields) return refuse(RequestFault::too_many_fields);
  return line > limits.max_field_line ? refuse(RequestFault::field_line_too_long) : nullptr;
}

}  // namespace prowingen
