#include "engine_proxygen/tls_contexts.h"

namespace prowingen::proxygen_engine {

std::shared_ptr<const folly::SSLContext> TlsContexts::current() {
  const auto wanted = context_.current();
  const std::lock_guard lock(mutex_);
  if (!last_ || last_->getSSLCtx() != wanted.get()) {
    last_ = std::make_shared<folly::SSLContext>(wanted.get());
    // That constructor leaves it out.
    last_->sslAcceptRunner(std::make_unique<folly::SSLAcceptRunner>());
  }
  return last_;
}

}  // namespace prowingen::proxygen_engine
