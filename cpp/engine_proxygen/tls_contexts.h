// Folly's view of the TLS contexts that connections begin with.
#pragma once

#include <folly/io/async/SSLContext.h>

#include <memory>
#include <mutex>

#include "tls/context.h"

namespace prowingen::proxygen_engine {

/// Any thread.
class TlsContexts final {
 public:
  explicit TlsContexts(const tls::Context& context) : context_(context) {}

  /// For a connection that begins.
  std::shared_ptr<const folly::SSLContext> current();

 private:
  const tls::Context& context_;
  std::mutex mutex_;  // guards the last one, which is made once: folly writes into OpenSSL's
  std::shared_ptr<folly::SSLContext> last_;
};

}  // namespace prowingen::proxygen_engine
