// Whether files are still what they were when they were read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace prowingen::tls {

/// By what a file system says of each, links followed: a file that is replaced is another one, also
/// where a folder above it is what changed; one whose owner or mode was mended may be readable now.
class FileStamps {
 public:
  FileStamps() = default;
  explicit FileStamps(const std::vector<std::string>& paths);

  bool operator==(const FileStamps&) const = default;

 private:
  struct Stamp {
    bool there = false;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    bool operator==(const Stamp&) const = default;
  };

  std::vector<Stamp> stamps_;
};

}  // namespace prowingen::tls
