#include "engine_embedded/http2_exchange.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "core/copying.h"

namespace prowingen::embedded {

void Http2Exchange::renew() {
  assert(!read_deadline.armed() && !write_deadline.armed());
  ConnectionExchange::renew();
  id = 0;
  request_whole = answer_begun = reset_here = false;
  unconsumed = 0;
  continue_due = aborted = framed = half_closed = output_finished_ = false;
  body_bytes_in = discarded = end_at = 0;
  refused = 0;
  chunks_.clear();
  settle_charge();
  offset_ = 0;
}

void Http2Exchange::fetch(Output& output) {
  if (!chunks_.empty() || output_finished_ || aborted || refused != 0) return;
  take_output(output);
  add(output);
  output.clear();
}

void Http2Exchange::add(Output& output) {
  if (framing != ResponseFraming::none) {
    for (auto& chunk : output.chunks) {
      if (!chunk.empty()) chunks_.push_back(std::move(chunk));
    }
  }
  settle_charge();
  output_finished_ = output.finished;
  aborted = output.aborted;
}

void Http2Exchange::set_page(std::string page) {
  chunks_.clear();
  offset_ = 0;
  if (!page.empty()) chunks_.emplace_back(std::move(page));
  output_finished_ = true;
}

std::uint64_t Http2Exchange::waiting() const {
  std::uint64_t sum = 0;
  for (const auto& chunk : chunks_) sum += chunk.size();
  return sum - offset_;
}

void Http2Exchange::settle_charge() {
  std::uint64_t sum = 0;
  for (const auto& chunk : chunks_) sum += chunk.memory();
  charge_.set(sum);
}

http2::Offer Http2Exchange::offer(std::size_t most) const {
  const auto all = waiting();
  // What was written before the application failed is the client's, as on HTTP/1.
  if (aborted && all == 0) return {.failed = true};
  const auto size = std::min<std::uint64_t>(most, all);
  return {static_cast<std::size_t>(size), size == all && output_finished_};
}

// All that goes out as frames is copied: a frame is 16 KiB, and TLS reads it once more anyway.
bool Http2Exchange::take(std::size_t size, std::string& out) {
  body_bytes_out += size;
  while (size != 0) {
    if (chunks_.empty()) return false;
    Chunk& chunk = chunks_.front();
    if (FileRange* range = chunk.file()) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size, range->length));
      const auto before = out.size();
      out.resize(before + part);
      const auto got =
          ::pread(range->file->get(), out.data() + before, part, static_cast<off_t>(range->offset));
      if (got <= 0) {
        out.resize(before);
        return false;
      }
      const auto read = static_cast<std::size_t>(got);
      out.resize(before + read);
      range->offset += read;
      range->length -= read;
      size -= read;
      if (range->length == 0) chunks_.pop_front();
      continue;
    }
    const auto rest = chunk.bytes().substr(offset_);
    const auto part = std::min(size, rest.size());
    append_octets(out, rest.substr(0, part));
    size -= part;
    offset_ += part;
    if (part == rest.size()) {
      chunks_.pop_front();
      offset_ = 0;
      settle_charge();
    }
  }
  return true;
}

}  // namespace prowingen::embedded
