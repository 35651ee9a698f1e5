// Files beneath a folder, and none but these: no path, link or rename on the way leads out of it.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>

#include "core/chunk.h"

namespace prowingen::static_files {

/// Whether a path relative to a folder, decoded, names something that may be shown: no segment is
/// empty, but for the last, or begins with a dot; ".well-known" at its start may (RFC 8615).
bool may_be_shown(std::string_view path);

/// Whether errno says that this process, or the system, has no further descriptor to give.
constexpr bool lacks_descriptors(int error) { return error == EMFILE || error == ENFILE; }

/// Where the system can resolve a path beneath a folder (Linux's openat2), links within it are
/// followed; elsewhere none are.
class Folder {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) {}

  /// Opens for reading what is at a path, "" for itself; not a regular file's content alone: a
  /// folder too. Nothing, with errno, where it cannot be, or would be elsewhere;
  /// lacks_descriptors() of it only if something is there. The folder's own path is looked up each
  /// time: a release may be put in the place of another.
  UniqueFd open(const std::string& relative) const;

  /// Whether its path leads nowhere, or to what is no folder, now.
  bool is_missing() const;

  const std::string& path() const { return path_; }

 private:
  UniqueFd open_beneath_it(const std::string& relative) const;

  std::string path_;
};

}  // namespace prowingen::static_files
