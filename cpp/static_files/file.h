// A file as it is served: what is known of its content, and of the same content compressed.
//
// Of a small file the content is kept, of a large one the open file. Nothing of it changes: where
// the file has changed, another one of these takes its place.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/chunk.h"
#include "static_files/folder.h"

namespace prowingen::static_files {

/// What tells a file from what it was before.
struct Identity {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  std::uint64_t modified_ns = 0;
  std::uint64_t changed_ns = 0;  // also where the other time was set back

  friend bool operator==(const Identity&, const Identity&) = default;
};

/// Codings that are looked for beside a file.
inline constexpr std::size_t most_codings = 3;

struct File;

/// Content that is in memory for one cache, and for answers that it is lent to, though the cache
/// may have dropped it since.
class HeldContent {
 public:
  explicit HeldContent(std::uint64_t bound) : bound_(bound) {}

  /// No more than the bound: what is lent now is not charged to who borrows it. So all that is not
  /// charged, and not in the cache either, never comes to more than the bound.
  bool is_in_bounds() const { return sum_.load(std::memory_order_relaxed) <= bound_; }
  void add(std::uint64_t bytes) { sum_.fetch_add(bytes, std::memory_order_relaxed); }
  void remove(std::uint64_t bytes) { sum_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  const std::uint64_t bound_;
  std::atomic<std::uint64_t> sum_ = 0;
};

/// The content in one coding (RFC 9110 section 8.4), or as it is.
struct Representation {
  Identity identity;
  std::string coding;                    // empty: none
  std::string entity_tag;                // strong, in its quotes
  std::string content;                   // of a small file
  std::shared_ptr<const UniqueFd> file;  // of a large one; null otherwise

  std::uint64_t size() const { return identity.size; }
  /// A range of it. `owner`, whose it is, keeps it alive for as long as the chunk needs.
  Chunk part(std::uint64_t first, std::uint64_t length, std::shared_ptr<const File> owner) const;
};

struct File {
  /// `held`: null where nothing is lent without being charged.
  explicit File(std::shared_ptr<HeldContent> held = nullptr) : held_(std::move(held)) {}
  ~File() {
    if (held_) held_->remove(counted_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::vector<Representation> representations;  // as it is, then in codings, the best first
  std::time_t modified = 0;
  std::string last_modified;
  std::string content_type;
  bool immutable = false;  // its name has a hash of its content

  std::uint64_t memory() const;
  std::size_t descriptors() const;
  /// Once all of its content is there.
  void count();
  bool is_lent_freely() const { return held_ && held_->is_in_bounds(); }

 private:
  const std::shared_ptr<HeldContent> held_;
  std::uint64_t counted_ = 0;
};

/// Types by what a name ends with: ".css" to "text/css". Those of text are in UTF-8.
using MediaTypes = std::unordered_map<std::string, std::string>;
std::string content_type(std::string_view name, const MediaTypes& types);

/// Whether a name has 12 or more hexadecimal digits, some of them letters, between two dots, as
/// Django's ManifestStaticFilesStorage, WhiteNoise and bundlers write it: "site.55e7cbb9ba48.css".
bool has_hash(std::string_view name);

struct Loaded {
  std::shared_ptr<const File> file = nullptr;  // null: there is none
  bool is_folder = false;
  int error = 0;  // why there is none, if it is something that an administrator should know
};

/// Looks at a path. What is as it was is `before`, which may be null.
Loaded load(const Folder& folder, const std::string& relative, const MediaTypes& types,
            const std::shared_ptr<const File>& before, std::shared_ptr<HeldContent> held);

}  // namespace prowingen::static_files
