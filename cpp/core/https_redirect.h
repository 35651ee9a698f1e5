// Who comes by HTTP is sent on to HTTPS: every request is answered by 308, to the same host, path
// and query (RFC 9110 section 15.4.9: with the same method and content).
//
// It takes the place of the work queue behind an engine whose listeners have no TLS. So a request
// is refused that is malformed, as anywhere, and no worker is taken for the others.
#pragma once

#include <string>

#include "core/engine.h"

namespace prowingen {

class HttpsRedirect final : public RequestSink {
 public:
  /// `port`: where HTTPS is spoken; empty for the usual one.
  explicit HttpsRedirect(const std::string& port);

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return {}; }

 private:
  const std::string port_;  // with its colon
};

/// The same of a request with this target and Host as HTTPS has it; `port` with its colon. Empty if
/// there is no host.
std::string https_location(std::string_view target, std::string_view host, std::string_view port);

}  // namespace prowingen
