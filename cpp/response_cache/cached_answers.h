// Requests for what was kept are answered by the I/O thread that read them, without a worker and
// without the GIL. All others go on.
#pragma once

#include "core/engine.h"
#include "response_cache/response_cache.h"
#include "response_cache/revalidation.h"

namespace prowingen::response_cache {

class CachedAnswers final : public RequestSink {
 public:
  /// `most_anew`: requests of its own that it has the workers see to at a time.
  CachedAnswers(ResponseCache& cache, RequestSink& next, std::size_t most_anew)
      : cache_(cache), next_(next), revalidation_(cache, next, most_anew) {}

  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override;
  std::chrono::nanoseconds backlog() const override { return next_.backlog(); }
  void stop() { revalidation_.stop(); }

 private:
  void serve(Exchange& exchange, const ResponseCache::EntryPointer& entry, SteadyTime now);

  ResponseCache& cache_;
  RequestSink& next_;
  Revalidation revalidation_;
};

}  // namespace prowingen::response_cache
