#include "static_files/named_files.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "http/request_target.h"

namespace prowingen::static_files {
namespace {

// What is behind a folder's path and the slash.
std::optional<std::string_view> in_folder(std::string_view path, std::string_view folder) {
  if (folder == "/") folder = {};
  if (!path.starts_with(folder)) return std::nullopt;
  path.remove_prefix(folder.size());
  if (!path.starts_with('/')) return std::nullopt;
  return path.substr(1);
}

// Decoded, unless that would make segments of what was one: an application that joins a name to a
// path has seen to the slashes that it knows of.
std::string_view decode(std::string_view path, std::string& buffer) {
  const auto decoded = percent_decode(path, buffer);
  return std::ranges::count(decoded, '/') == std::ranges::count(path, '/') ? decoded : path;
}

// Text that an application meant, of which WSGI takes octets: those of Latin-1.
std::string utf8_of_latin1(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 0x80) text += static_cast<char>(0xC0U | octet >> 6U);
    text += octet < 0x80 ? c : static_cast<char>(0x80U | (octet & 0x3FU));
  }
  return text;
}

// No segment that would lead elsewhere: whose place in the folder it is, is the application's to
// say, and it may have been told a part of it.
bool is_plain(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return false;
  for (bool more = true; more;) {
    const auto slash = path.find('/');
    const auto segment = path.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") return false;
    more = slash != std::string_view::npos;
    path.remove_prefix(more ? slash + 1 : path.size());
  }
  return true;
}

}  // namespace

NamedFiles::NamedFiles(std::vector<Mount> mounts, MediaTypes types)
    : mounts_(longest_first(std::move(mounts))),
      types_(std::move(types)),
      cache_(Cache::Bounds::of_process()) {}

NamedFiles::Found NamedFiles::by_path(std::string_view path) {
  std::string fault;
  std::string buffer;
  const std::string of_latin1 = utf8_of_latin1(path);
  // Frameworks write it as it is, modules of other servers want it encoded.
  for (const std::string_view spelling :
       {path, decode(path, buffer), std::string_view(of_latin1)}) {
    for (const Mount& mount : mounts_) {
      const auto relative = in_folder(spelling, mount.folder.path());
      if (!relative) continue;
      Found found = look_up(mount, *relative);
      if (found.file || found.cannot_be_opened) return found;
      if (fault.empty()) fault = std::move(found.fault);
    }
  }
  return {nullptr, fault.empty() ? "it is in no folder of the option sendfile" : fault};
}

NamedFiles::Found NamedFiles::by_target(std::string_view target) {
  std::string decoded;
  const auto path = decode(target.substr(0, target.find('?')), decoded);
  for (const Mount& mount : mounts_) {
    if (const auto relative = in_folder(path, mount.prefix)) return look_up(mount, *relative);
  }
  return {nullptr, "it begins with no prefix of the option sendfile"};
}

// The application says what is shown: a name that begins with a dot, too.
NamedFiles::Found NamedFiles::look_up(const Mount& mount, std::string_view relative) {
  if (!is_plain(relative)) return {nullptr, "it is no plain path in a folder"};
  const std::string name(relative);
  const auto now = std::chrono::steady_clock::now();
  const Loaded loaded = cache_.find(mount.folder.path() + "/" + name, now, [&](const auto& before) {
    return load(mount.folder, name, types_, before, cache_.held());
  });
  if (loaded.file) return {loaded.file, {}};
  if (lacks_descriptors(loaded.error)) {
    const bool is_said = complaints_of_shortage_.is_due();
    return {nullptr, is_said ? std::strerror(loaded.error) : "", true};
  }
  if (loaded.error != 0) return {nullptr, std::strerror(loaded.error)};
  const bool whole = mount.folder.is_missing();
  return {nullptr,
          (whole ? "there is no folder " : "there is no such file in ") + mount.folder.path()};
}

}  // namespace prowingen::static_files
