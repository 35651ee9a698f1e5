// Text of a client or an application as a log may show it: printable ASCII that can neither leave a
// quoted field, end the line, nor steer a reader's terminal.
#pragma once

#include <string>
#include <string_view>

namespace prowingen {

// No value may put these into a line as they are: `"`, `\`, and all bytes outside the range from
// `lowest` to 0x7E.
constexpr unsigned char above_controls = 0x20;
// For a value that stands unquoted: a user called `x [10/Oct/2000…` would forge the time column.
constexpr unsigned char above_space = 0x21;

/// `\xHH` for all of them, quotes and backslashes too: Apache's `\"` would end a quoted field for
/// the many log parsers that look for `"[^"]*"`.
void append_escaped(std::string_view text, unsigned char lowest, std::string& out);

/// RFC 8259 section 7, everything above U+007E as `\uXXXX`: pure ASCII is valid UTF-8 whatever
/// came in, and no U+2028 or U+0085 counts as a line's end for a lenient reader. Bytes that are not
/// UTF-8 become U+FFFD.
void append_json_string(std::string_view text, std::string& out);

}  // namespace prowingen
