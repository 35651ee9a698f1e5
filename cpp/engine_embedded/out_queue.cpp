#include "engine_embedded/out_queue.h"

#include <array>

#include "engine_embedded/channel.h"

namespace prowingen::embedded {
namespace {

constexpr std::size_t max_pieces = 64;
// Bytes merged into one text segment: past this, growing the string would copy too much.
constexpr std::size_t text_segment_size = 64 * 1024;

}  // namespace

std::string& OutQueue::text() {
  if (!empty()) {
    std::string* last = segments_.back().own();
    if (last != nullptr && last->size() < text_segment_size) return *last;
  }
  spare_.clear();
  segments_.emplace_back(std::move(spare_));
  spare_ = {};
  return *segments_.back().own();
}

void OutQueue::add(Chunk chunk) {
  if (!chunk.empty()) segments_.push_back(std::move(chunk));
}

std::uint64_t OutQueue::size() const {
  std::uint64_t sum = 0;
  for (std::size_t i = first_; i < segments_.size(); ++i) sum += segments_[i].size();
  return sum - front_offset_;
}

std::uint64_t OutQueue::memory() const {
  std::uint64_t sum = 0;
  // Of a text that is partly out, all is still there.
  for (std::size_t i = first_; i < segments_.size(); ++i) sum += segments_[i].memory();
  return sum;
}

void OutQueue::pop_front() {
  std::string* text = segments_[first_].own();
  if (text != nullptr && text->capacity() > spare_.capacity() &&
      text->capacity() <= 2 * text_segment_size) {
    spare_ = std::move(*text);
  }
  segments_[first_] = Chunk();  // an owner of borrowed bytes is told now, not later
  if (++first_ == segments_.size()) {
    segments_.clear();
    first_ = 0;
  }
}

void OutQueue::clear() {
  segments_.clear();
  first_ = front_offset_ = 0;
}

OutQueue::Result OutQueue::write(Channel& channel, std::uint64_t& written, std::uint64_t turn) {
  while (!empty()) {
    if (written >= turn) return Result::turn_over;
    Transfer transfer;
    if (FileRange* range = segments_[first_].file()) {
      transfer = channel.send_file(range->file->get(), range->offset, range->length);
    } else {
      std::array<iovec, max_pieces> pieces;
      std::size_t count = 0;
      for (std::size_t i = first_; i < segments_.size() && count < pieces.size(); ++i) {
        Chunk& segment = segments_[i];
        if (segment.file() != nullptr) break;
        std::string_view bytes = segment.own() != nullptr ? std::string_view(*segment.own())
                                                          : segment.borrowed()->view();
        if (count == 0) bytes.remove_prefix(front_offset_);
        pieces[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
      }
      transfer = channel.send_vector({pieces.data(), count}, first_ + count < segments_.size());
    }
    switch (transfer.status) {
      case Transfer::Status::ok:
        written += transfer.bytes;
        consume(transfer.bytes);
        break;
      case Transfer::Status::would_block: return Result::would_block;
      case Transfer::Status::end_of_stream: return Result::file_too_short;
      case Transfer::Status::failed: return Result::failed;
    }
  }
  if (channel.flushed()) return Result::all_written;
  switch (channel.flush()) {
    case Transfer::Status::ok: return Result::all_written;
    case Transfer::Status::would_block: return Result::would_block;
    case Transfer::Status::end_of_stream:
    case Transfer::Status::failed: return Result::failed;
  }
  return Result::failed;
}

void OutQueue::consume(std::uint64_t bytes) {
  if (FileRange* range = segments_[first_].file()) {
    range->offset += bytes;
    range->length -= bytes;
    if (range->length == 0) pop_front();
    return;
  }
  bytes += front_offset_;
  front_offset_ = 0;
  while (!empty() && segments_[first_].file() == nullptr && bytes >= segments_[first_].size()) {
    bytes -= segments_[first_].size();
    pop_front();
  }
  front_offset_ = static_cast<std::size_t>(bytes);
}

}  // namespace prowingen::embedded
