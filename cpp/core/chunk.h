// A piece of a response body on its way to a socket: bytes of our own, memory that somebody else
// owns (a large `bytes` object of the application), or a range of an open file.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace prowingen {

/// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

/// Somebody else's memory, kept alive until `release` is called, on whatever thread drops it last.
class BorrowedBytes {
 public:
  using Release = void (*)(void* owner);
  /// Who bounds how much of such memory there is: all who borrow it, each for what it has, or who
  /// lends it to many and has it anyway.
  enum class Bounded : std::uint8_t { by_borrowers, by_lender };

  BorrowedBytes(std::string_view bytes, void* owner, Release release,
                Bounded bounded = Bounded::by_borrowers)
      : bytes_(bytes), owner_(owner), release_(release), bounded_(bounded) {}
  BorrowedBytes(BorrowedBytes&& other) noexcept
      : bytes_(other.bytes_),
        owner_(std::exchange(other.owner_, nullptr)),
        release_(other.release_),
        bounded_(other.bounded_) {}
  BorrowedBytes& operator=(BorrowedBytes&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(owner_, other.owner_);
    std::swap(release_, other.release_);
    std::swap(bounded_, other.bounded_);
    return *this;
  }
  ~BorrowedBytes() {
    if (owner_ != nullptr) release_(owner_);
  }

  std::string_view view() const { return bytes_; }
  Bounded bounded() const { return bounded_; }
  void remove_prefix(std::size_t n) { bytes_.remove_prefix(n); }
  void remove_suffix(std::size_t n) { bytes_.remove_suffix(n); }

 private:
  std::string_view bytes_;
  void* owner_;
  Release release_;
  Bounded bounded_;
};

/// `length` bytes of an open regular file from `offset` on. Others may have ranges of the same.
struct FileRange {
  FileRange() = default;
  FileRange(std::shared_ptr<const UniqueFd> shared, std::uint64_t from, std::uint64_t size)
      : file(std::move(shared)), offset(from), length(size) {}
  FileRange(UniqueFd own, std::uint64_t from, std::uint64_t size)
      : FileRange(std::make_shared<const UniqueFd>(std::move(own)), from, size) {}

  std::shared_ptr<const UniqueFd> file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

class Chunk {
 public:
  Chunk() = default;
  explicit Chunk(std::string bytes) : data_(std::move(bytes)) {}
  explicit Chunk(BorrowedBytes bytes) : data_(std::move(bytes)) {}
  explicit Chunk(FileRange range) : data_(std::move(range)) {}

  std::uint64_t size() const {
    if (const auto* own = std::get_if<std::string>(&data_)) return own->size();
    if (const auto* borrowed = std::get_if<BorrowedBytes>(&data_)) return borrowed->view().size();
    return std::get<FileRange>(data_).length;
  }
  bool empty() const { return size() == 0; }
  /// What it takes of memory that nobody else bounds: nothing, if it is a file.
  std::size_t memory() const {
    const auto* borrowed = std::get_if<BorrowedBytes>(&data_);
    const bool is_lenders =
        borrowed != nullptr && borrowed->bounded() == BorrowedBytes::Bounded::by_lender;
    return is_lenders ? 0 : bytes().size();
  }
  /// Empty for a file.
  std::string_view bytes() const {
    if (const auto* own = std::get_if<std::string>(&data_)) return *own;
    if (const auto* borrowed = std::get_if<BorrowedBytes>(&data_)) return borrowed->view();
    return {};
  }

  /// Cuts the chunk to its first `size` bytes.
  void truncate(std::uint64_t size) {
    if (auto* own = std::get_if<std::string>(&data_)) {
      own->resize(static_cast<std::size_t>(size));
    } else if (auto* borrowed = std::get_if<BorrowedBytes>(&data_)) {
      borrowed->remove_suffix(borrowed->view().size() - static_cast<std::size_t>(size));
    } else {
      std::get<FileRange>(data_).length = size;
    }
  }

  std::string* own() { return std::get_if<std::string>(&data_); }
  BorrowedBytes* borrowed() { return std::get_if<BorrowedBytes>(&data_); }
  FileRange* file() { return std::get_if<FileRange>(&data_); }

 private:
  std::variant<std::string, BorrowedBytes, FileRange> data_;
};

}  // namespace prowingen
