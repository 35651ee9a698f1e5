#include "core/stored_body.h"

#include <algorithm>
#include <bit>

#include "core/copying.h"

namespace prowingen {
namespace {

// What is read back at once: the GIL is given up for each.
constexpr std::uint64_t read_block = 256 * 1024;

}  // namespace

std::error_code StoredBody::add(std::string_view bytes, const std::shared_ptr<Spool>& spool) {
  if (has_room_for(bytes.size())) {
    add_to_memory(bytes);
    return {};
  }
  auto file = file_ ? std::move(file_) : std::make_unique<SpoolFile>(spool);
  const auto error = file->append(memory_, bytes);
  if (error) {
    spool->complain(error);
  } else {
    memory_.clear();
    if (!share_.empty()) free_memory();
    size_ += bytes.size();
  }
  if (file->size() != 0) file_ = std::move(file);
  return error;
}

bool StoredBody::has_room_for(std::size_t more) {
  const auto size = memory_.size() + more;
  const auto capacity = std::bit_ceil(size);
  if (size > memory_bound) {
    if (size > whole_bound || file_ || !share_.grow_to(capacity - memory_bound)) return false;
  }
  if (memory_.capacity() < size) {
    // A string that grows by itself may take twice of what it is told to.
    std::string larger;
    larger.reserve(capacity);
    larger.append(memory_);
    memory_.swap(larger);
  }
  return true;
}

void StoredBody::free_memory() {
  memory_.clear();
  memory_.shrink_to_fit();
  share_.release();
}

void StoredBody::add_to_memory(std::string_view bytes) {
  append_octets(memory_, bytes);
  size_ += bytes.size();
}

std::error_code StoredBody::take(std::string& block) {
  block.clear();
  if (!file_) {
    block.swap(memory_);
    share_.release();  // it is the worker's
    return {};
  }
  block.resize(static_cast<std::size_t>(std::min(file_->size() - taken_, read_block)));
  if (const auto error = file_->read(taken_, block)) return error;
  taken_ += block.size();
  return {};
}

std::unique_ptr<SpoolFile> StoredBody::release_file() {
  return file_ && taken_ == file_->size() ? std::move(file_) : nullptr;
}

void StoredBody::clear(std::size_t kept) {
  memory_.clear();
  if (memory_.capacity() > kept) free_memory();
  file_.reset();
  size_ = taken_ = 0;
}

}  // namespace prowingen
