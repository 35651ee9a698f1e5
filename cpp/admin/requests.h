// What can be said of a request for control before anybody is asked: whose it is, and what it says.
// Pure functions.
//
// An administrators' address is often one that browsers reach, too, and so the pages in them. A
// page of another origin cannot send application/json without asking first, by OPTIONS, which
// nothing here allows; what it says of itself by Origin has to be this host. A page whose own name
// is made to resolve to this address would be of the same origin: on a loopback address, which
// nobody has reason to call by a name of the public DNS, such a host is refused, and elsewhere it
// lacks the token.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/exchange.h"
#include "http/message.h"
#include "http/refusal.h"

namespace prowingen::admin {

/// Octets that a question may have, its newline included, as the control protocol has it.
inline constexpr std::size_t longest_question = 4096;

/// Whether a browser's page that sends this is one of this host's own; no page: it is.
bool is_of_own_origin(const RequestHead& request);

/// Whether the name that it is asked for by may be one of a server at `local_address`: on a
/// loopback address it is a number, or has no dot, or is one of localhost's.
bool is_asked_by_own_name(std::string_view host, std::string_view local_address);

/// How a request is refused that is none of this host's own by either of these; null: it is not.
const Refusal* why_foreign(const Exchange& exchange);

/// Of the field Content-Type.
bool is_json(std::string_view content_type);

enum class Bearer : std::uint8_t { right, wrong, missing };
/// Whether the request has that token (RFC 6750 section 2.1). Takes as long for one that is almost
/// right as for any other of its length.
Bearer check_bearer(const RequestHead& request, std::string_view token);

/// The content of a request as one line: between JSON's tokens a line break is as good as a blank.
/// Nothing: it is longer than a question may be.
std::optional<std::string> as_question(std::string_view content);

/// The status that suits an answer's first line: a refusal's by its code, and 200 for all else.
/// Needs no more of it than `status_prefix` octets.
int status_of(std::string_view answer);
inline constexpr std::size_t status_prefix = 64;

/// Watches an answer's lines go by, for how it ends.
class LineWatch {
 public:
  void add(std::string_view bytes);
  /// Whether the last line was whole, and one that ends an answer.
  bool is_over() const { return over_ && begun_.empty(); }

 private:
  std::string begun_;  // of a line that has not ended; as much as tells what it is
  bool over_ = false;
};

}  // namespace prowingen::admin
