// The proxies in front of the server, and what they are believed: the options of the group "Behind
// a proxy", read once.
//
//   connection --PROXY header, if they are to send one--> its ends: ConnectionInfo
//   request --forwarded fields, if its peer is trusted--> another ConnectionInfo, for it alone
//
// An exchange is submitted with the second, so that the environ, the access log and every other
// reader of the peer see the same. Constant after construction: any thread.
#pragma once

#include <memory>
#include <string_view>

#include "core/exchange.h"
#include "core/options.h"
#include "proxies/forwarded.h"
#include "proxies/networks.h"
#include "proxies/proxy_header.h"

namespace prowingen {

class Proxies {
 public:
  /// Throws std::invalid_argument that names the option.
  explicit Proxies(const Options& options);

  /// Every connection begins with a PROXY header, and comes from one of those that may send it.
  bool send_headers() const { return send_headers_; }
  bool may_connect(std::string_view address) const {
    return header_senders_.contains_peer(address);
  }

  /// Completes what a connection's own ends say. `header`: the one it began with, or null.
  void complete(ConnectionInfo& info, const ProxyHeader* header) const;

  /// The ends of a request that came on a connection from a proxy (`from_proxy`), as its forwarded
  /// fields tell; the connection's own if they tell nothing.
  std::shared_ptr<const ConnectionInfo> ends_of(
      const RequestHead& head, const std::shared_ptr<const ConnectionInfo>& connection) const;

 private:
  const bool send_headers_;
  const Networks header_senders_;
  const ForwardedRules rules_;
};

}  // namespace prowingen
