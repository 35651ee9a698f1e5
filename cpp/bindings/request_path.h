// What stands between the engines and the workers, in the order in which a request comes by:
//
//   engine -> marks -> health -> static files -> rate limits -> response cache -> work queue
//     -> worker
//
// The first makes a request one that is found again. Each other answers what is its own, on the I/O
// thread, and passes the rest on. What is not asked for does not stand there.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "core/options.h"
#include "core/work_queue.h"
#include "health/health_answers.h"
#include "limits/rate_limits.h"
#include "response_cache/cached_answers.h"
#include "static_files/static_files.h"
#include "tracing/marks.h"

namespace prowingen::bindings {

/// Prefixes of paths, each with its folder, and whether a path that ends in a slash is index.html.
using StaticMounts = std::vector<std::tuple<std::string, std::string, bool>>;

/// Throws std::invalid_argument.
std::vector<static_files::Mount> read_mounts(const StaticMounts& mounts);
static_files::StaticFiles::Rules static_rules(const StaticMounts& mounts,
                                              const static_files::MediaTypes& types,
                                              const Options& options);
/// Null: nothing is to be kept.
std::shared_ptr<response_cache::ResponseCache> make_response_cache(const Options& options);

class RequestPath {
 public:
  using Report = std::function<void(Severity, std::string)>;

  /// All that is referred to outlives it; `cache` may be null.
  RequestPath(const Options& options, WorkQueue& queue, response_cache::ResponseCache* cache,
              const static_files::StaticFiles::Rules& files, const limits::CountedRates& rates,
              std::function<health::Obstacle()> look, const Report& report);

  /// Where engines hand requests over.
  RequestSink& begin() { return *begin_; }
  /// Nobody asks it any more.
  void stop();
  std::uint64_t static_files_answered() const {
    return static_files_ ? static_files_->answered() : 0;
  }
  limits::RateLimits::Counters rate_counters() const {
    return rate_limits_ ? rate_limits_->counters() : limits::RateLimits::Counters();
  }

 private:
  RequestSink* begin_;
  std::unique_ptr<response_cache::CachedAnswers> cached_answers_;
  std::unique_ptr<limits::RateTable> own_rates_;  // null: there are none, or they are shared
  std::unique_ptr<limits::RateLimits> rate_limits_;
  std::unique_ptr<static_files::StaticFiles> static_files_;
  std::unique_ptr<health::HealthAnswers> health_answers_;
  std::unique_ptr<tracing::Marking> marking_;
};

}  // namespace prowingen::bindings
