#include "core/spool_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace prowingen {
namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

// The bound of all files together is reached. No system call on a file fails with this one.
constexpr auto over_limit = std::errc::no_buffer_space;

// A file that is open and has no name.
std::error_code make_file(const std::string& directory, UniqueFd& file) {
#ifdef O_TMPFILE
  file.reset(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file) return {};
  // EISDIR: the kernel does not know the flag; EOPNOTSUPP: the file system does not.
  if (errno != EISDIR && errno != EOPNOTSUPP) return last_error();
#endif
  std::string name = directory + "/prowingen-body-XXXXXX";
  file.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!file || ::unlink(name.c_str()) != 0) return last_error();
  return {};
}

std::error_code try_directory(const std::string& directory) {
  UniqueFd file;
  return make_file(directory, file);
}

std::string find_temporary_directory() {
  const char* named = std::getenv("TMPDIR");
  for (std::string candidate : {named == nullptr ? "" : named, "/tmp", "/var/tmp"}) {
    if (!candidate.empty() && !try_directory(candidate)) return candidate;
  }
  return {};
}

}  // namespace

// ---------------------------------------------------------------------------- all files

Spool::Spool(const std::string& directory, std::uint64_t limit, Report report)
    : directory_(directory.empty() ? find_temporary_directory() : directory),
      limit_(limit),
      report_(std::move(report)) {
  if (const auto error = directory.empty() ? std::error_code() : try_directory(directory)) {
    throw std::invalid_argument("spool_dir: \"" + directory + "\": " + error.message() +
                                ": name a directory that files can be made in");
  }
  // An application may go to another directory.
  if (!directory_.empty()) directory_ = std::filesystem::absolute(directory_).string();
}

std::error_code Spool::reserve(int file, std::uint64_t bytes) {
  const auto together = bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::uint64_t most = limit_;
  if (limit_ == 0) {
    struct statvfs state;
    if (::fstatvfs(file, &state) != 0) {
      release(bytes);
      return last_error();
    }
    // A file system that does not know its size does not know what is free either.
    most = state.f_blocks == 0 ? together
                               : static_cast<std::uint64_t>(state.f_bavail) * state.f_frsize;
  }
  if (together <= most) return {};
  release(bytes);
  return std::make_error_code(over_limit);
}

void Spool::complain(std::error_code error) {
  std::string text = "a request body cannot be kept in a file";
  {
    const std::lock_guard lock(complaint_mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (complained_ && now - last_complaint_ < complaint_interval) {
      ++left_out_;
      return;
    }
    if (left_out_ != 0) {
      text.append(" (nor could ").append(std::to_string(left_out_)).append(" others before it)");
    }
    complained_ = true;
    last_complaint_ = now;
    left_out_ = 0;
  }
  if (directory_.empty()) {
    text.append(": there is no temporary directory: set spool_dir");
  } else if (error == over_limit) {
    text.append(" in ").append(directory_);
    text.append(limit_ != 0 ? ": all of them together have reached max_spool"
                            : ": they would take more than they leave free");
  } else {
    text.append(" in ").append(directory_).append(": ").append(error.message());
  }
  report_(std::move(text));
}

// ---------------------------------------------------------------------------- one file

SpoolFile::~SpoolFile() {
  spool_->release(size_);
  if (!birthplace_.is_parent()) return;
  // In a child the number may be that of a file of its own by now.
  if (kept_) kept_->forget();
  static_cast<void>(file_.release());
}

std::error_code SpoolFile::append(std::string_view first, std::string_view second) {
  if (!file_) {
    if (spool_->directory().empty())
      return std::make_error_code(std::errc::no_such_file_or_directory);
    if (const auto error = make_file(spool_->directory(), file_)) return error;
    kept_.emplace(file_.get());
    spool_->files_.fetch_add(1, std::memory_order_relaxed);
  }
  const auto bytes = first.size() + second.size();
  if (const auto error = spool_->reserve(file_.get(), bytes)) return error;
  if (const auto error = write(first, second)) {
    spool_->release(bytes);
    return error;
  }
  size_ += bytes;
  return {};
}

std::error_code SpoolFile::write(std::string_view first, std::string_view second) {
  auto offset = static_cast<off_t>(size_);
  while (!first.empty() || !second.empty()) {
    const std::array<iovec, 2> pieces{{{const_cast<char*>(first.data()), first.size()},
                                       {const_cast<char*>(second.data()), second.size()}}};
    const auto written = ::pwritev(file_.get(), pieces.data(), pieces.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    if (written == 0) return std::make_error_code(std::errc::io_error);
    offset += written;
    const auto of_first = std::min(first.size(), static_cast<std::size_t>(written));
    first.remove_prefix(of_first);
    second.remove_prefix(static_cast<std::size_t>(written) - of_first);
  }
  return {};
}

std::error_code SpoolFile::read(std::uint64_t offset, std::string& block) const {
  for (std::size_t got = 0; got < block.size();) {
    const auto count = ::pread(file_.get(), block.data() + got, block.size() - got,
                               static_cast<off_t>(offset + got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return last_error();
    if (count == 0) return std::make_error_code(std::errc::io_error);  // shorter than written
    got += static_cast<std::size_t>(count);
  }
  return {};
}

}  // namespace prowingen
