// Files that an application answers with by naming them, and need not open: X-Sendfile, by their
// path, and X-Accel-Redirect, by a path that stands for it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "static_files/cache.h"
#include "static_files/file.h"
#include "static_files/seldom.h"
#include "static_files/static_files.h"

namespace prowingen::static_files {

/// Any thread.
class NamedFiles {
 public:
  NamedFiles(std::vector<Mount> mounts, MediaTypes types);

  struct Found {
    std::shared_ptr<const File> file;  // null: there is none that may be sent
    std::string fault;                 // why, for the log; empty if that has been said just now
    bool cannot_be_opened = false;     // now: there is no descriptor for it
  };
  /// X-Sendfile: a file's path in the folder of a mount, as it is or percent-encoded.
  Found by_path(std::string_view path);
  /// X-Accel-Redirect: the prefix of a mount, and what is behind it in the folder; percent-encoded.
  Found by_target(std::string_view target);

 private:
  Found look_up(const Mount& mount, std::string_view relative);

  const std::vector<Mount> mounts_;  // the longest prefix first
  const MediaTypes types_;
  Cache cache_;
  Seldom complaints_of_shortage_;
};

}  // namespace prowingen::static_files
