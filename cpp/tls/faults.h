// How a TLS option is refused: by an std::invalid_argument that names it, its value and what is
// wrong, in OpenSSL's words where it has some.
#pragma once

#include <string>
#include <string_view>

namespace prowingen::tls {

[[noreturn]] void refuse(std::string_view option, std::string_view value, std::string_view why);

/// The same after a failure of OpenSSL's, which is said in words of one's own where a file has
/// nothing of the kind that is looked for, such as a "certificate".
[[noreturn]] void refuse_unreadable(std::string_view option, const std::string& path,
                                    std::string_view what);

/// Whether the first error of this thread says that there is no such thing in what was read.
bool found_nothing();

/// What is in a file. Refuses one that cannot be read.
std::string read_file(std::string_view option, const std::string& path);

/// Why the last operation of this thread failed, in OpenSSL's words; takes it off its queue.
std::string last_error();

}  // namespace prowingen::tls
