#include "http2/head_reader.h"

#include <algorithm>
#include <utility>

#include "http/octets.h"

namespace prowingen::http2 {
namespace {

// `name: value CRLF`, as the limits count a field line.
constexpr std::size_t line_overhead = 4;

}  // namespace

void HeadReader::begin(RequestHead& head) {
  head_ = &head;
  for (std::string& value : pseudo_) value.clear();
  cookie_.clear();
  size_ = fields_ = 0;
  has_host_ = has_length_ = malformed_ = false;
  given_up_ = nullptr;
}

bool HeadReader::give_up(const Refusal& why) {
  if (given_up_ != nullptr) return false;
  given_up_ = &why;
  *head_ = RequestHead();
  std::string().swap(cookie_);
  return true;
}

bool HeadReader::over_limits() const {
  return size_ > limits_.max_header_bytes + limits_.max_request_line ||
         fields_ > limits_.max_header_fields;
}

bool HeadReader::add(std::string_view name, std::string_view value) {
  size_ += name.size() + value.size() + line_overhead;
  const bool pseudo = name.starts_with(':');
  if (!pseudo) ++fields_;
  // What goes beyond the limits is decoded, but not kept.
  if (over_limits() || given_up_ != nullptr) return size_ <= patience(limits_);
  malformed_ |= !(pseudo ? add_pseudo(name, value) : add_field(name, value));
  return true;
}

// Section 8.3: each once, ahead of all fields, and none but those of a request.
bool HeadReader::add_pseudo(std::string_view name, std::string_view value) {
  const auto* const found = std::ranges::find(pseudo_names, name);
  if (found == pseudo_names.end() || fields_ != 0 || value.empty()) return false;
  std::string& kept = pseudo_[static_cast<std::size_t>(found - pseudo_names.begin())];
  if (!kept.empty()) return false;
  kept = value;
  return is_field_value(value);
}

bool HeadReader::add_field(std::string_view name, std::string_view value) {
  if (!is_http2_field(name, value)) return false;
  if (name == "cookie") {
    // Section 8.2.3: an application knows one Cookie only.
    if (!cookie_.empty()) cookie_.append("; ");
    cookie_.append(value);
    return true;
  }
  if (name == "content-length") {
    head_->add_field(name, plain_length(value));
    return !std::exchange(has_length_, true) && !value.empty() && all_are(value, Octet::digit);
  }
  head_->add_field(name, value);
  return name != "host" || !std::exchange(has_host_, true);
}

bool HeadReader::is_whole() const {
  const std::string& target = pseudo_[path];
  if (pseudo_[method].empty() || (pseudo_[authority].empty() && !has_host_)) return false;
  // RFC 8441 section 4: with a protocol it has both.
  if (upgrades()) {
    return extended_connect_ && pseudo_[method] == "CONNECT" && is_token(pseudo_[protocol]) &&
           !pseudo_[authority].empty() && !pseudo_[scheme].empty() && target.starts_with('/');
  }
  // Section 8.5: a tunnel has neither scheme nor path.
  if (pseudo_[method] == "CONNECT") return pseudo_[scheme].empty() && target.empty();
  return !pseudo_[scheme].empty() &&
         (target.starts_with('/') || (target == "*" && pseudo_[method] == "OPTIONS"));
}

// Section 8.3.1: a Host that says something else makes the request malformed.
bool HeadReader::agrees_on_host(const RequestHead& head) const {
  return pseudo_[authority].empty() || !has_host_ ||
         equals_ignoring_case(head.first("host"), pseudo_[authority]);
}

HeadReader::Result HeadReader::finish() {
  auto result = conclude();
  // An idle connection keeps no large ones.
  const auto release = [](std::string& kept) {
    if (kept.capacity() > 1024) std::string().swap(kept);
  };
  std::ranges::for_each(pseudo_, release);
  release(cookie_);
  return result;
}

HeadReader::Result HeadReader::conclude() {
  Result result;
  result.size = size_;
  RequestHead& head = *std::exchange(head_, nullptr);
  // Whose authority is its target.
  const bool tunnels = pseudo_[method] == "CONNECT" && !upgrades();
  const std::string& target = tunnels ? pseudo_[authority] : pseudo_[path];
  head.set_request_line(upgrades() ? std::string_view("GET") : pseudo_[method], target, http_2);
  if (given_up_ != nullptr) {
    result.outcome = Outcome::refused;
    result.verdict = given_up_;
    return result;
  }
  if (!cookie_.empty()) head.add_field("cookie", cookie_);
  if (malformed_ || (!over_limits() && !is_whole()) || !agrees_on_host(head)) {
    result.outcome = Outcome::malformed;
    return result;
  }
  if (!pseudo_[authority].empty()) {
    head.remove_fields("host");
    head.add_field("host", pseudo_[authority]);
  }
  if (fields_ > limits_.max_header_fields) {
    result.verdict = &refusal(RequestFault::too_many_fields);
  } else if (over_limits()) {
    result.verdict = &refusal(RequestFault::header_too_large);
  } else {
    result.verdict = check_http2_request(head, limits_, result.semantics);
  }
  if (result.verdict != nullptr) {
    result.outcome = Outcome::refused;
    return result;
  }
  result.upgrades = upgrades() || tunnels;
  if (upgrades()) show_as_upgrade(head, pseudo_[protocol]);
  return result;
}

}  // namespace prowingen::http2
