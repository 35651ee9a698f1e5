// What is answered to a request for a file: conditions, ranges and codings, as RFC 9110 has them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk.h"
#include "http/message.h"
#include "static_files/file.h"

namespace prowingen::static_files {

/// For how long a client need not ask again, for files whose name has no hash; 0: it is to ask each
/// time.
using MaxAge = std::chrono::seconds;

/// What follows the head.
struct Content {
  std::optional<std::uint64_t> length;  // of GET's answer; none: it has no content
  std::vector<Chunk> chunks;            // empty for HEAD
};

/// Writes the head of an answer in place of what `head` has, and returns what follows it.
Content answer(const RequestHead& request, const std::shared_ptr<const File>& file, MaxAge max_age,
               ResponseHead& head);

/// The same for an answer that an application has begun: `head` has its status and its fields,
/// which go before what is known of the file. Caching is the application's to decide, and the file
/// is sent in no other coding than it says; conditions and ranges mean something where it succeeds.
Content complete_answer(const RequestHead& request, const std::shared_ptr<const File>& file,
                        ResponseHead& head);

/// To a request for a folder by a path without the slash at its end: the same path with it.
Content redirect_to_folder(const RequestHead& request, ResponseHead& head);

/// Where the file is there, and cannot be opened now.
Content refuse_for_now(ResponseHead& head);

}  // namespace prowingen::static_files
