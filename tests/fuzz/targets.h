// What strangers' bytes are thrown at. Each target takes the bytes of one client, whatever they
// are, and throws a Fault when something does not hold that has to hold for every client; crashes,
// leaks and undefined behaviour are for the sanitizers to find.
//
// libFuzzer calls them (`nox -s fuzz`), and the C++ tests with the files of corpus/.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace prowingen::fuzz {

class Fault : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

inline void must(bool holds, const char* what) {
  if (!holds) throw Fault(what);
}

/// What was told of the same bytes, in one piece and in others.
inline void must_agree(const std::string& whole, const std::string& cut) {
  if (cut != whole) throw Fault("it depends on where the bytes are cut: " + whole + " | " + cut);
}

/// Where the bytes are cut in two: somewhere, and for the same bytes always there.
std::size_t place_to_cut(std::string_view bytes);

/// A connection of the embedded engine, with a worker that answers: HTTP/2 if they begin with its
/// preface, else HTTP/1.
void connections(std::string_view bytes);
/// The frames of HTTP/2, as the proxygen engine reads them.
void http2_frames(std::string_view bytes);
/// Requests of HTTP/1.
void http1_requests(std::string_view bytes);

}  // namespace prowingen::fuzz
