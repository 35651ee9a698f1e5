// Complaints about connections that are closed before they are any of HTTP, or since they are no
// HTTP/2, which must not fill the log however many of them come.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "core/engine.h"
#include "core/exchange.h"

namespace prowingen {

/// One thread.
class Complaints {
 public:
  /// At most one line in this time; the next one says how many were left out.
  static constexpr std::chrono::seconds interval{10};

  static constexpr std::string_view not_allowed = "it is not in proxy_allow_ips";
  static constexpr std::string_view no_header = "its PROXY protocol header is malformed";
  static constexpr std::string_view no_handshake = "its TLS handshake failed";
  static constexpr std::string_view broke_http2 = "its client does not keep to HTTP/2";
  static constexpr std::string_view broke_http3 = "its client does not keep to HTTP/3";
  static constexpr std::string_view late =
      "its PROXY protocol header, or its TLS handshake, did not come in time";

  explicit Complaints(const EngineContext& context) : context_(context) {}

  /// `detail` may be empty.
  void add(const ConnectionInfo& connection, std::string_view why, std::string_view detail,
           SteadyTime now);

 private:
  const EngineContext& context_;
  bool said_ = false;
  SteadyTime last_;
  std::uint64_t left_out_ = 0;
};

}  // namespace prowingen
