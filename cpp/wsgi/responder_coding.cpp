// How a Responder compresses what it is given, where the rules want it.
//
// What is all there when it comes is coded at once, and has a length. Of what comes piece by piece
// each is flushed, so that no client waits for what the application has given already (PEP 3333
// "Buffering and Streaming"); the items of a list are not, since none of them is late.
#include <limits>
#include <new>
#include <utility>

#include "compression/rules.h"
#include "core/copying.h"
#include "wsgi/coded_body.h"
#include "wsgi/responder.h"

namespace prowingen::wsgi {
namespace {

using compression::Step;

// What is not urgent gathers up to here, before it is coded and after.
constexpr std::size_t enough = std::size_t{16} * 1024;
// Of more, the first is sent before the last is coded, and no more of it is if its client has left.
constexpr std::size_t longest_slice = std::size_t{1} << 20;
// What a stream's coder takes, at usual levels.
constexpr std::size_t stream_memory = std::size_t{1} << 20;

}  // namespace

// `size`: of the body, if it is known.
void Responder::settle_coding(std::optional<std::uint64_t> size) {
  if (coding_settled_ || head_sent_) return;
  coding_settled_ = true;
  if (switches() || !rules_.compression->may_compress(*head_, size)) return;
  const auto coders = rules_.compression->choose(exchange_->request);
  // A stream may go on for hours, and who opens many of them is not to take everybody's memory.
  const bool affordable = size || !body_allowed_ || exchange_->may_spend(stream_memory);
  if (!coders || !affordable) return compression::mark_head(*head_, std::nullopt);
  try {
    if (body_allowed_) coded_ = std::make_shared<CodedBody>(exchange_, coders);
    coding_ = coders->coding();
  } catch (const std::bad_alloc&) {
    compression::mark_head(*head_, std::nullopt);
  }
}

// The head goes out, with or without a body.
void Responder::settle_coded_head() {
  if (head_->status == 304) return compression::mark_not_modified(*head_, exchange_->request);
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
  uncoded_.clear();
}

bool Responder::coded_to_its_end() const { return !coded_ || coded_->ended(); }

// `size`: octets of these, which sent_ has counted.
bool Responder::write_coded(PyObject* bytes, std::size_t size, bool last) {
  if (coded_->ended()) return push_coded(last);
  const std::string_view piece(PyBytes_AS_STRING(bytes), size);
  const bool complete = last || sent_ == declared_;
  if (!complete && total_ && uncoded_.size() + size < enough) {
    uncoded_.append(piece);
    return look_for_client();
  }
  return code_and_push(piece, bytes, complete, last);
}

bool Responder::finish_coded() {
  const auto coded = coded_;
  ends_ = true;  // or a thread that writes on and on would be waited for
  coded->wait_for_others();
  return coded->ended() ? push_coded(true) : code_and_push({}, nullptr, true, true);
}

// `bytes`: what has the piece; null: nobody.
bool Responder::code_and_push(std::string_view piece, PyObject* bytes, bool complete, bool last) {
  // The application may return before it has the GIL back: until it is known that it has not,
  // nothing of this object is touched.
  const auto coded = coded_;
  std::string gathered = std::exchange(uncoded_, {});
  const bool is_alone = gathered.empty() && bytes != nullptr;
  if (!is_alone) append_octets(gathered, piece);
  std::string_view left = is_alone ? piece : gathered;
  const std::size_t size = left.size();
  const bool whole = complete && !coded->begun() && !head_sent_ && size <= longest_slice;
  const Step last_step = complete ? Step::end : total_ ? Step::more : Step::flush;
  for (;;) {
    const auto slice = left.substr(0, longest_slice);
    left.remove_prefix(slice.size());
    const auto out = coded->code(slice, left.empty() ? last_step : Step::more);
    if (!out) return false;
    coded_out_.append(*out);
    if (left.empty()) break;
    if (coded_out_.size() < enough) {
      if (!look_for_client()) return false;
    } else if (!push_coded(false) || !coded->has_user()) {
      return false;
    }
  }
  if (whole && coded_out_.size() >= size) {
    send_uncoded();
    compression::mark_head(*head_, std::nullopt);
    return is_alone ? send_as_it_is(bytes, size, last) : push(Chunk(std::move(gathered)), last);
  }
  if (last_step == Step::more && coded_out_.size() < enough) return look_for_client();
  return push_coded(last);
}

// What sendfile(2) would be slower than: it is kept whole in memory, so that no worker waits for
// its client.
bool Responder::takes_file_for_coding(const FileRange& range) {
  if (!rules_.compression) return false;
  if (range.length > longest_slice) coding_settled_ = true;
  settle_coding(range.length);
  return coded_ != nullptr;
}

bool Responder::write_coded_file(FileRange range) {
  const auto coded = coded_;
  auto out = coded->code_file(range);
  if (!out) return false;
  const bool last = !declared_ || sent_ == *declared_;
  high_water_ = std::numeric_limits<std::size_t>::max();
  if (out->size() < range.length) {
    coded_out_ = std::move(*out);
    return push_coded(last) && (last || finish());
  }
  send_uncoded();
  compression::mark_head(*head_, std::nullopt);
  return push(Chunk(std::move(range)), last) && (last || finish());
}

bool Responder::push_coded(bool last) {
  if (!head_sent_ && coded_->ended()) coded_length_ = coded_out_.size();
  return push(Chunk(std::exchange(coded_out_, {})), last);
}

}  // namespace prowingen::wsgi
