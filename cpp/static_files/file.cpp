#include "static_files/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>

#include "http/date.h"
#include "http/octets.h"

namespace prowingen::static_files {
namespace {

constexpr std::uint64_t kept_size = 64 * 1024;

struct Coding {
  std::string_view name;
  std::string_view suffix;
};
// Best first: of what a client takes as gladly, the smallest.
constexpr std::array<Coding, most_codings> codings{
    {{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}}};

constexpr std::size_t shortest_hash = 12;

#if defined(__APPLE__)
const timespec& modification(const struct stat& status) { return status.st_mtimespec; }
const timespec& change(const struct stat& status) { return status.st_ctimespec; }
#else
const timespec& modification(const struct stat& status) { return status.st_mtim; }
const timespec& change(const struct stat& status) { return status.st_ctim; }
#endif

// Of a time that is far away, some number.
std::uint64_t nanoseconds(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

Identity identify(const struct stat& status) {
  return {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
          static_cast<std::uint64_t>(status.st_size), nanoseconds(modification(status)),
          nanoseconds(change(status))};
}

// By its size and its time of modification: the same on each host that the file was copied to with
// its time.
std::string make_entity_tag(const Identity& identity, std::string_view coding) {
  std::array<char, 64> text;
  const int size = std::snprintf(text.data(), text.size(), "\"%llx-%llx",
                                 static_cast<unsigned long long>(identity.modified_ns),
                                 static_cast<unsigned long long>(identity.size));
  std::string tag(text.data(), static_cast<std::size_t>(size));
  if (!coding.empty()) tag.append("-").append(coding);
  return tag + '"';
}

// False, with errno, where it cannot be read. It may be shorter than was said, as it is being
// written: the next look at it shows that it has changed.
bool read_all(int fd, std::uint64_t size, std::string& content) {
  content.resize(static_cast<std::size_t>(size));
  std::size_t done = 0;
  while (done < content.size()) {
    const auto got =
        ::pread(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  content.resize(done);
  return true;
}

std::optional<Representation> read(UniqueFd file, const struct stat& status,
                                   std::string_view coding) {
  Representation made;
  made.identity = identify(status);
  made.coding = coding;
  made.entity_tag = make_entity_tag(made.identity, coding);
  if (made.size() > kept_size) {
    made.file = std::make_shared<const UniqueFd>(std::move(file));
  } else if (read_all(file.get(), made.size(), made.content)) {
    made.identity.size = made.content.size();
  } else {
    return std::nullopt;
  }
  return made;
}

bool is_worth_telling(int error) {
  return error != ENOENT && error != ENOTDIR && error != ELOOP && error != EXDEV &&
         error != ENAMETOOLONG && error != ENXIO;
}

// One that is older than what it was made from is left alone. Some tools keep whole seconds alone.
bool is_current(const struct stat& coded, const struct stat& plain) {
  const timespec& made = modification(coded);
  const timespec& source = modification(plain);
  if (!S_ISREG(coded.st_mode) || made.tv_sec < source.tv_sec) return false;
  return made.tv_sec > source.tv_sec || made.tv_nsec == 0 || made.tv_nsec >= source.tv_nsec;
}

struct Opened {
  UniqueFd file;
  struct stat status {};
};

}  // namespace

Chunk Representation::part(std::uint64_t first, std::uint64_t length,
                           std::shared_ptr<const File> owner) const {
  if (file) return Chunk(FileRange{file, first, length});
  const auto bytes = std::string_view(content).substr(static_cast<std::size_t>(first),
                                                      static_cast<std::size_t>(length));
  using Owner = std::shared_ptr<const File>;
  using Bounded = BorrowedBytes::Bounded;
  const auto bounded = owner->is_lent_freely() ? Bounded::by_lender : Bounded::by_borrowers;
  const auto release = [](void* kept) {
    const std::unique_ptr<Owner> released(static_cast<Owner*>(kept));
  };
  return Chunk(BorrowedBytes(bytes, new Owner(std::move(owner)), release, bounded));
}

std::uint64_t File::memory() const {
  std::uint64_t sum = sizeof(File);
  for (const auto& each : representations) sum += sizeof(Representation) + each.content.size();
  return sum;
}

std::size_t File::descriptors() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      representations, [](const Representation& each) { return each.file != nullptr; }));
}

void File::count() {
  if (!held_) return;
  for (const auto& each : representations) counted_ += each.content.size();
  held_->add(counted_);
}

std::string content_type(std::string_view name, const MediaTypes& types) {
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return "application/octet-stream";
  std::string suffix(name.substr(dot));
  std::ranges::transform(suffix, suffix.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  const auto found = types.find(suffix);
  if (found == types.end()) return "application/octet-stream";
  const bool is_text = found->second.starts_with("text/") || found->second.ends_with("/javascript");
  return is_text ? found->second + "; charset=utf-8" : found->second;
}

bool has_hash(std::string_view name) {
  for (auto dot = name.find('.'); dot != std::string_view::npos;) {
    const auto next = name.find('.', dot + 1);
    if (next == std::string_view::npos) return false;
    const auto part = name.substr(dot + 1, next - dot - 1);
    // Digits alone are a time or a number.
    if (part.size() >= shortest_hash && all_are(part, Octet::hex_digit) &&
        !all_are(part, Octet::digit)) {
      return true;
    }
    dot = next;
  }
  return false;
}

Loaded load(const Folder& folder, const std::string& relative, const MediaTypes& types,
            const std::shared_ptr<const File>& before, std::shared_ptr<HeldContent> held) {
  const auto open = [&](const std::string& path) {
    Opened opened;
    opened.file = folder.open(path);
    if (opened.file && ::fstat(opened.file.get(), &opened.status) != 0) opened.file.reset();
    return opened;
  };
  Opened plain = open(relative);
  if (!plain.file) {
    const int error = errno;
    return {.error = is_worth_telling(error) ? error : 0};
  }
  if (S_ISDIR(plain.status.st_mode)) return {.is_folder = true};
  if (!S_ISREG(plain.status.st_mode)) return {};

  std::vector<std::pair<Opened, std::string_view>> found;
  found.emplace_back(std::move(plain), "");
  for (const Coding& coding : codings) {
    Opened coded = open(relative + std::string(coding.suffix));
    // Without it, caches would take the file for one that has no such coding.
    if (!coded.file && lacks_descriptors(errno)) return {.error = errno};
    if (coded.file && is_current(coded.status, found.front().first.status)) {
      found.emplace_back(std::move(coded), coding.name);
    }
  }
  const bool same =
      before && std::ranges::equal(found, before->representations,
                                   [](const auto& now, const Representation& then) {
                                     return identify(now.first.status) == then.identity &&
                                            now.second == then.coding;
                                   });
  if (same) return {.file = before};

  auto file = std::make_shared<File>(std::move(held));
  const auto slash = relative.rfind('/');
  const auto name = std::string_view(relative).substr(slash == std::string::npos ? 0 : slash + 1);
  // None is to be in the future (section 8.8.2.1).
  file->modified = std::min(modification(found.front().first.status).tv_sec, std::time(nullptr));
  file->last_modified = http_date(file->modified);
  file->content_type = content_type(name, types);
  file->immutable = has_hash(name);
  for (auto& [opened, coding] : found) {
    auto representation = read(std::move(opened.file), opened.status, coding);
    if (representation) {
      file->representations.push_back(std::move(*representation));
    } else if (coding.empty()) {
      return {.error = errno};
    }
  }
  file->count();
  return {.file = std::move(file)};
}

}  // namespace prowingen::static_files
