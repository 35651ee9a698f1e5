// Requests of HTTP/1 on one connection, parsed as a connection does it: a head from its first byte
// whenever a further line has come, a body where it was. Where the network cuts them can make no
// difference.
#include <optional>
#include <string>

#include "http/octets.h"
#include "http1/request_parser.h"
#include "targets.h"

namespace prowingen::fuzz {
namespace {

using http1::RequestParser;
using Outcome = RequestParser::Outcome;

constexpr RequestLimits limits{.max_request_line = 200,
                               .max_header_bytes = 1000,
                               .max_header_fields = 20,
                               .max_body = 2000,
                               .max_chunk_extension = 50,
                               .max_trailer_bytes = 200};

class Requests final : private http1::BodySink {
 public:
  void receive(std::string_view bytes) {
    if (refused_) return;
    input_.append(bytes);
    while (!refused_ && may_advance() && advance()) {
    }
  }
  /// All that came out, as one text.
  std::string finish() const { return told_ + "; rest " + input_; }

 private:
  bool may_advance() const {
    return in_body_ ? !input_.empty() : input_.find('\n') != std::string::npos;
  }
  bool advance() {
    if (!in_body_) {
      head_.clear();
      parser_.emplace(head_, limits, static_cast<http1::BodySink&>(*this));
    }
    const auto progress = in_body_ ? parser_->parse_body(input_) : parser_->parse_head(input_);
    must(progress.consumed <= input_.size(), "more is consumed than there is");
    must((progress.outcome == Outcome::refused) == (progress.verdict != nullptr),
         "a refusal without a reason, or a reason without one");
    if (progress.outcome == Outcome::refused) {
      refused_ = true;
      // Of a body that is refused, some may have come before; and whether a trailer section is
      // first found too large or malformed depends on how much of it there is.
      told_ += "; refused";
      if (!in_body_) told_ += " " + std::to_string(progress.verdict->status);
      input_.clear();
      body_.clear();
      return false;
    }
    if (!in_body_ && progress.outcome != Outcome::need_more) tell_head();
    input_.erase(0, progress.consumed);
    in_body_ |= progress.outcome == Outcome::head_done;
    if (progress.outcome == Outcome::request_done) {
      must(body_.size() <= limits.max_body, "a body is larger than its limit");
      told_ += "; body " + body_ + "; done";
      body_.clear();
      in_body_ = false;
      return true;
    }
    return progress.consumed != 0;
  }

  void tell_head() {
    must(is_token(head_.method()), "a method that is no token");
    told_.append("; ").append(head_.method()).append(" ").append(head_.target());
    for (const FieldLine& field : head_.fields()) {
      const auto name = head_.view(field.name);
      const auto value = head_.view(field.value);
      must(is_token(name) && is_field_value(value), "a malformed field");
      told_.append(", ").append(name).append("=").append(value);
    }
  }

  void on_body(std::string_view bytes) override { body_.append(bytes); }
  void on_trailer(std::string_view name, std::string_view value) override {
    must(is_token(name) && is_field_value(value), "a malformed trailer");
    body_.append("\n").append(name).append("=").append(value);
  }

  RequestHead head_;
  std::optional<RequestParser> parser_;
  std::string input_;
  std::string body_;
  std::string told_;
  bool in_body_ = false;
  bool refused_ = false;
};

}  // namespace

void http1_requests(std::string_view input) {
  // A head is looked at when a line ends, so the last one does.
  const std::string with_end = std::string(input) + '\n';
  const std::string_view bytes = with_end;
  Requests whole;
  whole.receive(bytes);
  const auto told = whole.finish();

  const auto cut = place_to_cut(bytes);
  Requests in_two;
  in_two.receive(bytes.substr(0, cut));
  in_two.receive(bytes.substr(cut));
  must_agree(told, in_two.finish());

  if (bytes.size() > 512) return;
  Requests in_octets;
  for (const char& octet : bytes) in_octets.receive({&octet, 1});
  must_agree(told, in_octets.finish());
}

}  // namespace prowingen::fuzz
