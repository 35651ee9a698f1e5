#include "engine_proxygen/buffers.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace prowingen::proxygen_engine {
namespace {

constexpr std::size_t file_piece = 64 * 1024;
// A copy of this size costs less than two objects more that own the bytes.
constexpr std::size_t copied = 512;

void release_bytes(void*, void* owner) {
  const std::unique_ptr<BorrowedBytes> bytes(static_cast<BorrowedBytes*>(owner));
}

}  // namespace

std::unique_ptr<folly::IOBuf> to_buffer(Chunk&& chunk) {
  if (std::string* own = chunk.own()) {
    if (own->size() <= copied) return folly::IOBuf::copyBuffer(*own);
    return folly::IOBuf::fromString(std::move(*own));
  }
  auto owner = std::make_unique<BorrowedBytes>(std::move(*chunk.borrowed()));
  const auto bytes = owner->view();
  auto buffer = folly::IOBuf::takeOwnership(const_cast<char*>(bytes.data()), bytes.size(),
                                            release_bytes, owner.release());
  // IOBuf has no type for constant memory that it owns. proxygen's HTTP/2 writes the header of a
  // frame in front of its data, over what is sent already, unless somebody shares it.
  buffer->markExternallySharedOne();
  return buffer;
}

std::unique_ptr<folly::IOBuf> read_piece(FileRange& range) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(range.length, file_piece));
  auto buffer = folly::IOBuf::create(size);
  const auto got =
      ::pread(range.file->get(), buffer->writableData(), size, static_cast<off_t>(range.offset));
  if (got <= 0) return nullptr;
  buffer->append(static_cast<std::size_t>(got));
  range.offset += static_cast<std::uint64_t>(got);
  range.length -= static_cast<std::uint64_t>(got);
  return buffer;
}

}  // namespace prowingen::proxygen_engine
