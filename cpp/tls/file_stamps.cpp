#include "tls/file_stamps.h"

#include <sys/stat.h>

namespace prowingen::tls {

FileStamps::FileStamps(const std::vector<std::string>& paths) {
  for (const auto& path : paths) {
    Stamp& stamp = stamps_.emplace_back();
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) continue;
#if defined(__APPLE__)
    const auto& changed = found.st_ctimespec;
#else
    const auto& changed = found.st_ctim;
#endif
    stamp = {true,
             static_cast<std::uint64_t>(found.st_dev),
             static_cast<std::uint64_t>(found.st_ino),
             static_cast<std::int64_t>(found.st_size),
             static_cast<std::int64_t>(changed.tv_sec),
             static_cast<std::int64_t>(changed.tv_nsec)};
  }
}

}  // namespace prowingen::tls
