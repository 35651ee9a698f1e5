// Who comes by HTTP is sent on to HTTPS: every request is answered by 308, to the same host, path
// and query (RFC 9110 section 15.4.9: with the same method and content). Alone an authority that
// wants its challenge answered before it issues a certificate (RFC 8555 section 8.3) gets what a
// file of that token says.
//
// It takes the place of the work queue behind an engine whose listeners have no TLS. So a request
// is refused that is malformed, as anywhere, and no worker is taken for the others.
#pragma once

#include <string>

#include "core/engine.h"

namespace prowingen {

class HttpsRedirect final : public RequestSink {
 public:
  /// `port`: where HTTPS is spoken; empty for the usual one. `folder`: where challenges are
  /// answered from; empty: nowhere.
  HttpsRedirect(const std::string& port, const std::string& folder);

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return {}; }

 private:
  const std::string port_;        // with its colon
  const std::string challenges_;  // with its slash; empty: none are answered
};

/// The same of a request with this target and Host as HTTPS has it; `port` with its colon. Empty if
/// there is no host.
std::string https_location(std::string_view target, std::string_view host, std::string_view port);

}  // namespace prowingen
