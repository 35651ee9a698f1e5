// Which coding of a representation a client likes best: RFC 9110 section 12.5.3.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "http/message.h"

namespace prowingen {

/// The one of `available`, by its index, that the request's Accept-Encoding prefers; of those that
/// it likes as much, the first. Nothing if it likes the representation as it is better, or none.
/// "x-gzip" is "gzip". A client that accepts nothing at all gets the representation as it is.
std::optional<std::size_t> choose_coding(const RequestHead& request,
                                         std::span<const std::string_view> available);

}  // namespace prowingen
