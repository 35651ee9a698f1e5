#include "static_files/named_files.h"

#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "http/request_target.h"

namespace prowingen::static_files {
namespace {

// What is behind a folder's path and the slash.
std::optional<std::string_view> in_folder(std::string_view path, std::string_view folder) {
  if (!path.starts_with(folder)) return std::nullopt;
  path.remove_prefix(folder.size());
  if (!path.starts_with('/')) return std::nullopt;
  return path.substr(1);
}

}  // namespace

NamedFiles::NamedFiles(std::vector<Mount> mounts, MediaTypes types)
    : mounts_(std::move(mounts)), types_(std::move(types)), cache_({}) {}

NamedFiles::Found NamedFiles::by_path(std::string_view path) {
  std::string fault;
  std::string decoded;
  // Frameworks write it as it is, modules of other servers want it encoded.
  for (const std::string_view spelling : {path, percent_decode(path, decoded)}) {
    for (const Mount& mount : mounts_) {
      const auto relative = in_folder(spelling, mount.folder.path());
      if (!relative) continue;
      Found found = look_up(mount, *relative);
      if (found.file) return found;
      if (fault.empty()) fault = std::move(found.fault);
    }
  }
  return {nullptr, fault.empty() ? "it is in no folder of the option sendfile" : fault};
}

NamedFiles::Found NamedFiles::by_target(std::string_view target) {
  std::string decoded;
  const auto path = percent_decode(target.substr(0, target.find('?')), decoded);
  for (const Mount& mount : mounts_) {
    if (const auto relative = in_folder(path, mount.prefix)) return look_up(mount, *relative);
  }
  return {nullptr, "it begins with no prefix of the option sendfile"};
}

// The application says what is shown: a name that begins with a dot, too.
NamedFiles::Found NamedFiles::look_up(const Mount& mount, std::string_view relative) {
  if (relative.find('\0') != std::string_view::npos) return {nullptr, "no path has a zero in it"};
  const std::string name(relative);
  const auto now = std::chrono::steady_clock::now();
  const Loaded loaded = cache_.find(mount.folder.path() + "/" + name, now, [&](const auto& before) {
    return load(mount.folder, name, types_, before);
  });
  if (loaded.file) return {loaded.file, {}};
  if (loaded.error != 0) return {nullptr, std::strerror(loaded.error)};
  return {nullptr, "there is no such file in " + mount.folder.path()};
}

}  // namespace prowingen::static_files
