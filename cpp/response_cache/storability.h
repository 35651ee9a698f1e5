// Which requests may be answered with what was kept, which answers may be kept, and for how long:
// RFC 9111 sections 3 and 4.2, of which the strictest part. An answer is kept because its
// application says s-maxage, and for no other reason.
#pragma once

#include <chrono>
#include <ctime>
#include <optional>

#include "core/exchange.h"
#include "http/message.h"

namespace prowingen::response_cache {

/// What a request lets be done.
struct RequestFit {
  bool may_be_answered = false;  // with what was kept
  bool may_be_kept = false;      // its answer
};
/// HEAD is answered as GET is, and its answer not kept.
RequestFit fit_of(const Exchange& exchange);

/// Whether a request of this method changes nothing (RFC 9110 section 9.2.1). One that is not known
/// may.
bool is_safe(std::string_view method);

struct Lifetime {
  std::chrono::seconds fresh{0};  // counted from when the answer was made
  std::chrono::seconds stale{0};  // for so long after that it is given while it is asked for anew
  std::chrono::seconds age{0};    // when it left the application
};

/// Nothing: it may not be kept. `now` is by the clock on the wall, as Date is.
std::optional<Lifetime> lifetime_of(const ResponseHead& head, std::time_t now);

}  // namespace prowingen::response_cache
