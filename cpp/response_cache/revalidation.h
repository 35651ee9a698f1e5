// Asks the application anew for what is stale, while clients are given the stale answer: RFC 5861.
//
// The request is the client's own, as one of GET and without its conditions; the answer goes
// nowhere, and is kept as any other would be. A client's departure does not end it.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "core/engine.h"
#include "core/exchange.h"
#include "response_cache/response_cache.h"

namespace prowingen::response_cache {

class Revalidation final : public Transport {
 public:
  /// `most`: at a time; others are asked for when a client comes next.
  Revalidation(ResponseCache& cache, RequestSink& workers, std::size_t most)
      : cache_(cache), workers_(workers), most_(most) {}

  /// Unless it is being asked for. Any I/O thread.
  void ask(const Exchange& client, const ResponseCache::EntryPointer& entry);
  /// Ends all that are under way, and begins none from here on.
  void stop();

  void output_ready(std::shared_ptr<Exchange> exchange, bool more_soon) override;
  void body_wanted(std::shared_ptr<Exchange> exchange) override;
  void client_doubted(std::shared_ptr<Exchange> exchange) override;
  void flush() override;

 private:
  struct Asked {
    std::shared_ptr<Exchange> exchange;
    ResponseCache::EntryPointer entry;
  };

  bool enter(const Asked& asked);
  ResponseCache::EntryPointer leave(const Exchange& exchange);

  ResponseCache& cache_;
  RequestSink& workers_;
  const std::size_t most_;
  std::mutex mutex_;  // guards all below
  std::vector<Asked> under_way_;
  bool stopped_ = false;
};

}  // namespace prowingen::response_cache
