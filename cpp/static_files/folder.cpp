#include "static_files/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#if defined(__linux__)
#include <sys/syscall.h>
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#else
#include <cstdint>
#endif
#endif

namespace prowingen::static_files {
namespace {

// A pipe must not keep us waiting for who writes to it, nor a terminal become ours.
constexpr int reading = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

// Takes the first segment off a path.
std::string_view take_segment(std::string_view& path) {
  const auto slash = std::min(path.find('/'), path.size());
  const auto segment = path.substr(0, slash);
  path.remove_prefix(std::min(slash + 1, path.size()));
  return segment;
}

#if defined(__linux__)
#if !__has_include(<linux/openat2.h>)
// As openat2(2) has it: the headers of Linux before 5.6 do not, with which release wheels are
// built, and what runs them may be newer.
struct open_how {
  std::uint64_t flags;
  std::uint64_t mode;
  std::uint64_t resolve;
};
constexpr std::uint64_t RESOLVE_NO_MAGICLINKS = 0x02;
constexpr std::uint64_t RESOLVE_BENEATH = 0x08;
#endif
#if defined(SYS_openat2)
constexpr long openat2_call = SYS_openat2;
#else
constexpr long openat2_call = 437;  // of every processor but Alpha
#endif

// The system gives up with EAGAIN where something on the way was renamed meanwhile.
constexpr int most_tries = 16;

// Whether it is known that there is no such call, or that a filter refuses it.
bool lacks_openat2(int error) { return error == ENOSYS || error == EPERM; }

UniqueFd open_beneath(int folder, const std::string& relative) {
  open_how how{};
  how.flags = reading;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;; ++tries) {
    const long fd = ::syscall(openat2_call, folder, relative.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR || (errno == EAGAIN && tries < most_tries)) continue;
    return {};
  }
}
#endif

// Step by step, following no link.
UniqueFd walk(UniqueFd folder, std::string_view path) {
  while (!path.empty()) {
    const std::string segment(take_segment(path));
    if (segment.empty()) break;  // the slash at the end
    if (segment == "..") {
      errno = EXDEV;
      return {};
    }

    const bool last = path.empty();
    const int flags = last ? reading | O_NOFOLLOW : reading | O_NOFOLLOW | O_DIRECTORY;
    UniqueFd next(::openat(folder.get(), segment.c_str(), flags));
    if (!next) return {};
    folder = std::move(next);
  }
  return folder;
}

}  // namespace

bool may_be_shown(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return false;
  for (bool first = true; !path.empty(); first = false) {
    const auto segment = take_segment(path);
    if (segment.empty()) return false;
    if (segment.starts_with('.') && !(first && segment == ".well-known")) return false;
  }
  return true;
}

UniqueFd Folder::open(const std::string& relative) const {
  UniqueFd opened = open_beneath_it(relative);
  if (opened || !lacks_descriptors(errno)) return opened;
  // The system says so before it looks at the path. What is not there can be told all the same.
  const int shortage = errno;
  struct stat status {};
  if (::stat((path_ + "/" + relative).c_str(), &status) == 0) errno = shortage;
  return {};
}

bool Folder::is_missing() const {
  struct stat status {};
  if (::stat(path_.c_str(), &status) == 0) return !S_ISDIR(status.st_mode);
  return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
}

UniqueFd Folder::open_beneath_it(const std::string& relative) const {
  UniqueFd folder(::open(path_.c_str(), reading | O_DIRECTORY));
  if (!folder || relative.empty()) return folder;
#if defined(__linux__)
  UniqueFd file = open_beneath(folder.get(), relative);
  if (file || !lacks_openat2(errno)) return file;
#endif
  return walk(std::move(folder), relative);
}

}  // namespace prowingen::static_files
