// Files for request bodies that wait for their end, so that a client that sends one slowly, or
// never ends it, costs disk and not memory.
//
// A file has no name from the moment it is made (O_TMPFILE, or unlinked at once), so that nobody
// else sees it and nothing is left behind however the process ends. All files of a server share one
// Spool, which bounds them together: by `max_spool`, or else by what is free. They may then have as
// much as they leave, so that an upload without an end never fills a disk that others need. A child
// that the application forks has none of them: its copy would keep the space as long as it lives.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/chunk.h"
#include "core/forks.h"

namespace prowingen {

/// The directory, and what all files in it have. Any thread.
class Spool {
 public:
  using Report = std::function<void(std::string)>;

  /// `directory`: empty for the system's temporary directory. `limit` of all files together, in
  /// bytes; 0: what is free. `report` takes lines for an administrator. Throws
  /// std::invalid_argument if no file can be made in a directory that was named.
  Spool(const std::string& directory, std::uint64_t limit, Report report);

  /// Absolute; empty if the system has no temporary directory that can be written to.
  const std::string& directory() const { return directory_; }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  /// Files made so far.
  std::uint64_t files() const { return files_.load(std::memory_order_relaxed); }

  /// A file could not be made or written. At most one line in `complaint_interval`.
  void complain(std::error_code error);
  static constexpr std::chrono::seconds complaint_interval{10};

 private:
  friend class SpoolFile;

  /// Sets `bytes` aside for a file, or says why not.
  std::error_code reserve(int file, std::uint64_t bytes);
  void release(std::uint64_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

  std::string directory_;
  const std::uint64_t limit_;
  const Report report_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> files_{0};
  std::mutex complaint_mutex_;  // guards what follows
  bool complained_ = false;
  std::chrono::steady_clock::time_point last_complaint_;
  std::uint64_t left_out_ = 0;
};

/// One thread at a time.
class SpoolFile {
 public:
  explicit SpoolFile(std::shared_ptr<Spool> spool) : spool_(std::move(spool)) {}
  ~SpoolFile();
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  /// Appends both, one behind the other, or nothing. The file is made with the first bytes.
  std::error_code append(std::string_view first, std::string_view second);
  /// Fills `block` from this offset on.
  std::error_code read(std::uint64_t offset, std::string& block) const;
  std::uint64_t size() const { return size_; }

 private:
  std::error_code write(std::string_view first, std::string_view second);

  const std::shared_ptr<Spool> spool_;
  const Birthplace birthplace_;
  UniqueFd file_;
  std::optional<KeptFromChildren> kept_;
  std::uint64_t size_ = 0;
};

}  // namespace prowingen
