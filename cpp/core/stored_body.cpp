#include "core/stored_body.h"

#include <algorithm>

namespace prowingen {
namespace {

// What is read back at once: the GIL is given up for each.
constexpr std::uint64_t read_block = 256 * 1024;

}  // namespace

std::error_code StoredBody::add(std::string_view bytes, const std::shared_ptr<Spool>& spool) {
  if (bytes.size() <= memory_bound - std::min(memory_.size(), memory_bound)) {
    add_to_memory(bytes);
    return {};
  }
  auto file = file_ ? std::move(file_) : std::make_unique<SpoolFile>(spool);
  const auto error = file->append(memory_, bytes);
  if (error) {
    spool->complain(error);
  } else {
    memory_.clear();
    size_ += bytes.size();
  }
  if (file->size() != 0) file_ = std::move(file);
  return error;
}

void StoredBody::add_to_memory(std::string_view bytes) {
  memory_.append(bytes);
  size_ += bytes.size();
}

std::error_code StoredBody::take(std::string& block) {
  block.clear();
  if (!file_) {
    block.swap(memory_);
    return {};
  }
  block.resize(static_cast<std::size_t>(std::min(file_->size() - taken_, read_block)));
  if (const auto error = file_->read(taken_, block)) return error;
  taken_ += block.size();
  // Its space is given back while the application works on what was in it.
  if (taken_ == file_->size()) file_.reset();
  return {};
}

void StoredBody::clear(std::size_t kept) {
  memory_.clear();
  if (memory_.capacity() > kept) memory_.shrink_to_fit();
  file_.reset();
  size_ = taken_ = 0;
}

}  // namespace prowingen
