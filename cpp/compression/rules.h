// Which answers are compressed, how, and what their heads say then.
//
// Of an answer that could be, `Vary` says that Accept-Encoding decides (RFC 9110 section 12.5.5),
// whether this one is or not; of one that is, ETag is weak, since its octets are others than what
// the application named (section 8.8.1), and it offers no ranges.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "compression/coders.h"
#include "compression/media_types.h"
#include "http/message.h"

namespace prowingen {
struct Options;
}

namespace prowingen::compression {

class Rules {
 public:
  /// Throws std::logic_error for what the options should not have let pass.
  explicit Rules(const Options& options);

  /// Whether it depends on the client's Accept-Encoding how an answer is sent: its type is one
  /// that compresses, it is long enough, if its `size` is known, and nothing that its head says
  /// speaks against it.
  bool may_compress(const ResponseHead& head, std::optional<std::uint64_t> size) const;
  /// Of such an answer, the coding that its client likes best; null: none.
  std::shared_ptr<Coders> choose(const RequestHead& request) const;

 private:
  const std::uint64_t min_size_;
  const MediaTypePatterns types_;
  std::vector<std::shared_ptr<Coders>> coders_;
  std::vector<std::string_view> tokens_;  // of these
};

/// Says in the head of an answer that may_compress() that it does, and, with a coding, that it is.
void mark_head(ResponseHead& head, std::optional<Coding> coding);

/// Of an answer of status 304 to a client that has, or asks for, what this server has coded: it
/// says the same as that one's (RFC 9110 section 15.4.5).
void mark_not_modified(ResponseHead& head, const RequestHead& request);

/// A trailer section of a coded answer: digests of other octets would be untrue (RFC 9530). Null if
/// nothing is left.
std::unique_ptr<FieldSection> without_digests(std::unique_ptr<FieldSection> trailers);

/// Reads `token` or `token:level`. Throws std::logic_error.
Offer parse_offer(std::string_view text);

}  // namespace prowingen::compression
