#include "http2/head_reader.h"

#include <utility>

namespace prowingen::http2 {
namespace {

// `name: value CRLF`, as the limits count a field line.
constexpr std::size_t line_overhead = 4;

}  // namespace

void HeadReader::begin(RequestHead& head) {
  head_ = &head;
  method_.clear();
  target_.clear();
  authority_.clear();
  cookie_.clear();
  size_ = fields_ = 0;
}

bool HeadReader::add(std::string_view name, std::string_view value) {
  size_ += name.size() + value.size() + line_overhead;
  const bool pseudo = name.starts_with(':');
  if (!pseudo) ++fields_;
  if (size_ > limits_.max_header_bytes + limits_.max_request_line ||
      fields_ > limits_.max_header_fields) {
    return size_ <= patience * (limits_.max_header_bytes + limits_.max_request_line);
  }
  if (name == ":method") {
    method_ = value;
  } else if (name == ":path") {
    target_ = value;
  } else if (name == ":authority") {
    authority_ = value;
  } else if (name == "cookie") {
    // RFC 9113 section 8.2.3: an application knows one Cookie only.
    if (!cookie_.empty()) cookie_.append("; ");
    cookie_.append(value);
  } else if (name == "content-length") {
    head_->add_field(name, plain_length(value));
  } else if (!pseudo) {
    head_->add_field(name, value);
  }
  return true;
}

HeadReader::Result HeadReader::finish() {
  Result result;
  result.size = size_;
  RequestHead& head = *std::exchange(head_, nullptr);
  head.set_request_line(method_, target_, http_2);
  if (!cookie_.empty()) head.add_field("cookie", cookie_);
  if (!authority_.empty()) {
    // RFC 9113 section 8.3.1: a Host that says something else makes the request malformed.
    for (const FieldLine& field : head.fields()) {
      if (equals_ignoring_case(head.view(field.name), "host") &&
          !equals_ignoring_case(head.view(field.value), authority_)) {
        result.outcome = Outcome::malformed;
        return result;
      }
    }
    head.remove_fields("host");
    head.add_field("host", authority_);
  }
  if (fields_ > limits_.max_header_fields) {
    result.verdict = &refusal(RequestFault::too_many_fields);
  } else if (size_ > limits_.max_header_bytes + limits_.max_request_line) {
    result.verdict = &refusal(RequestFault::header_too_large);
  } else {
    result.verdict = check_http2_request(head, limits_, result.semantics);
  }
  if (result.verdict != nullptr) result.outcome = Outcome::refused;
  return result;
}

}  // namespace prowingen::http2
