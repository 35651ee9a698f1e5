// How a Responder compresses what it is given, where the rules want it.
//
// What is all there when it comes is coded at once, and has a length. Of what comes piece by piece
// each is flushed, so that no client waits for what the application has given already (PEP 3333
// "Buffering and Streaming"); the items of a list are not, since none of them is late.
#include <new>
#include <utility>

#include "compression/rules.h"
#include "wsgi/coded_body.h"
#include "wsgi/responder.h"

namespace prowingen::wsgi {
namespace {

using compression::Step;

// What is not urgent gathers up to here.
constexpr std::size_t enough_to_send = std::size_t{16} * 1024;

}  // namespace

// `size`: of the body, if it is known.
void Responder::settle_coding(std::optional<std::uint64_t> size) {
  if (coding_settled_ || head_sent_) return;
  coding_settled_ = true;
  if (switches() || !rules_.compression->may_compress(*head_, size)) return;
  const auto coders = rules_.compression->choose(exchange_->request);
  if (!coders) return compression::mark_head(*head_, std::nullopt);
  try {
    if (body_allowed_) coded_ = std::make_shared<CodedBody>(exchange_, coders);
    coding_ = coders->coding();
  } catch (const std::bad_alloc&) {
    compression::mark_head(*head_, std::nullopt);
  }
}

// The head goes out, with or without a body.
void Responder::settle_coded_head() {
  // Who answers HEAD with nothing has not said how long GET's answer is.
  const bool unsaid = !body_allowed_ && total_ == 0;
  settle_coding(declared_ ? declared_ : unsaid ? std::nullopt : total_);
  if (coding_) compression::mark_head(*head_, coding_);
}

void Responder::send_uncoded() {
  if (coded_) coded_->orphan();
  coded_.reset();
  coding_.reset();
  coded_out_.clear();
}

// `size`: octets of these, which sent_ has counted.
bool Responder::write_coded(PyObject* bytes, std::size_t size, bool last) {
  const std::string_view piece(PyBytes_AS_STRING(bytes), size);
  const auto coded = coded_;  // the application may return before it has it back
  if (!coded->ended()) {
    const bool complete = last || sent_ == declared_;
    const Step step = complete ? Step::end : total_ ? Step::more : Step::flush;
    const auto out = coded->code(piece, step);
    if (!out) return false;
    const bool whole = complete && !head_sent_ && sent_ == size;
    if (whole && out->size() >= size) {
      send_uncoded();
      compression::mark_head(*head_, std::nullopt);
      return send_as_it_is(bytes, size, last);
    }
    coded_out_.append(*out);
    if (step == Step::more && coded_out_.size() < enough_to_send) return look_for_client();
  }
  return push_coded(last);
}

bool Responder::write_coded_file(FileRange range) {
  const auto coded = coded_;
  const bool last = !declared_ || sent_ == *declared_;
  while (range.length != 0) {
    const auto out = coded->code_some(range);
    if (!out) return false;
    coded_out_.append(*out);
    const bool ends = range.length == 0;
    if (!ends && coded_out_.size() < enough_to_send) continue;
    if (!push_coded(ends && last)) return false;
  }
  return last || finish();
}

bool Responder::finish_coded() {
  const auto coded = coded_;
  const auto out = coded->code({}, Step::end);
  if (!out) return false;
  coded_out_.append(*out);
  return push_coded(true);
}

bool Responder::push_coded(bool last) {
  if (!head_sent_ && coded_->ended()) coded_length_ = coded_out_.size();
  return push(Chunk(std::exchange(coded_out_, {})), last);
}

}  // namespace prowingen::wsgi
