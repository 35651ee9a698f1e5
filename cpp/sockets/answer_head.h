// The head of an answer that an application writes itself, to the socket that it was given: by that
// the server knows what is answered, can log it, and can say it in another version of HTTP.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "http/message.h"

namespace prowingen::sockets {

/// Longer ones are none.
inline constexpr std::size_t longest_head = std::size_t{64} * 1024;

enum class HeadOutcome : std::uint8_t { need_more, done, malformed };

struct HeadProgress {
  HeadOutcome outcome = HeadOutcome::need_more;
  std::size_t consumed = 0;  // of `bytes`, when it is done
};

/// Takes a head off the front of what has been written so far, into `out`, without what belongs to
/// HTTP/1's framing. RFC 9112 sections 4 and 5.
HeadProgress read_answer_head(std::string_view bytes, ResponseHead& out);

}  // namespace prowingen::sockets
