#include "core/complaints.h"

#include <string>
#include <utility>

namespace prowingen {

void Complaints::add(const ConnectionInfo& connection, std::string_view why,
                     std::string_view detail, SteadyTime now) {
  if (said_ && now - last_ < interval) {
    ++left_out_;
    return;
  }
  const bool named = !connection.remote_address.empty();
  std::string text = "a connection ";
  text.append(named ? "from " + connection.remote_address : "over a Unix socket");
  text.append(" is closed: ").append(why);
  if (!detail.empty()) text.append(": ").append(detail);
  if (left_out_ != 0) {
    text.append(" (and ").append(std::to_string(left_out_)).append(" others before it)");
  }
  said_ = true;
  last_ = now;
  left_out_ = 0;
  // Whoever scans the Internet fails to shake hands: nothing that an administrator has to mend.
  const bool strangers = why == no_handshake || why == broke_http2 || why == broke_http3;
  context_.report(strangers ? Severity::info : Severity::warning, std::move(text));
}

}  // namespace prowingen
