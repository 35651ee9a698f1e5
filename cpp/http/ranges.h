// Range requests: RFC 9110 section 14.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace prowingen {

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct WantedRanges {
  enum class Kind : std::uint8_t {
    whole,         // no range, or none that need be honoured
    parts,         // 206
    unsatisfiable  // 416
  };
  Kind kind = Kind::whole;
  std::vector<ByteRange> parts;  // in the order asked for
};

/// What a Range field's value wants of a representation of `size` octets. Ranges that are many, or
/// more than the whole, are not honoured (section 14.2, and 17.15 for why).
WantedRanges parse_ranges(std::string_view value, std::uint64_t size);

/// A Content-Range's value: "bytes 0-99/1234".
std::string content_range(const ByteRange& range, std::uint64_t size);

}  // namespace prowingen
