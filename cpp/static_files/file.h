// A file as it is served: what is known of its content, and of the same content compressed.
//
// Of a small file the content is kept, of a large one the open file. Nothing of it changes: where
// the file has changed, another one of these takes its place.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <unordered_map>
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

/// The content in one coding (RFC 9110 section 8.4), or as it is.
struct Representation {
  Identity identity;
  std::string coding;                    // empty: none
  std::string entity_tag;                // strong, in its quotes
  std::string content;                   // of a small file
  std::shared_ptr<const UniqueFd> file;  // of a large one; null otherwise

  std::uint64_t size() const { return identity.size; }
  /// A range of it. `owner` keeps it alive for as long as the chunk needs.
  Chunk part(std::uint64_t first, std::uint64_t length, std::shared_ptr<const void> owner) const;
};

struct File {
  std::vector<Representation> representations;  // as it is, then in codings, the best first
  std::time_t modified = 0;
  std::string last_modified;
  std::string content_type;
  bool immutable = false;  // its name has a hash of its content

  std::uint64_t memory() const;
  std::size_t descriptors() const;
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
            const std::shared_ptr<const File>& before);

}  // namespace prowingen::static_files
