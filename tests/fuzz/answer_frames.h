// What a server may send over HTTP/2, by whoever its client is.
#pragma once

#include <string_view>

namespace prowingen::fuzz {

/// Throws a Fault unless `sent` is whole frames that a server may send to a client that sends
/// `received`: section 5.1 of RFC 9113 for the streams, section 6.9 for the connection's window.
void check_answer_frames(std::string_view sent, std::string_view received);

}  // namespace prowingen::fuzz
