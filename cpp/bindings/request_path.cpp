#include "bindings/request_path.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

namespace prowingen::bindings {

std::vector<static_files::Mount> read_mounts(const StaticMounts& mounts) {
  std::vector<static_files::Mount> read;
  for (const auto& [prefix, folder, has_index] : mounts) {
    read.push_back({prefix, static_files::Folder(folder), has_index});
  }
  return read;
}

static_files::StaticFiles::Rules static_rules(const StaticMounts& mounts,
                                              const static_files::MediaTypes& types,
                                              const Options& options) {
  static_files::StaticFiles::Rules rules;
  rules.mounts = read_mounts(mounts);
  rules.types = types;
  rules.max_age = std::chrono::seconds(static_cast<std::int64_t>(options.static_max_age));
  rules.transport_security = options.transport_security();
  return rules;
}

std::shared_ptr<response_cache::ResponseCache> make_response_cache(const Options& options) {
  if (options.response_cache == 0) return nullptr;
  response_cache::ResponseCache::Rules rules;
  rules.memory = options.response_cache;
  rules.longest_answer = std::min<std::uint64_t>(rules.memory, options.response_cache_max_answer);
  rules.dates = options.date_header;
  return std::make_shared<response_cache::ResponseCache>(rules);
}

RequestPath::RequestPath(const Options& options, WorkQueue& queue,
                         response_cache::ResponseCache* cache,
                         const static_files::StaticFiles::Rules& files,
                         const limits::CountedRates& rates, std::function<health::Obstacle()> look,
                         const Report& report)
    : begin_(&queue) {
  if (cache != nullptr) {
    // Half of the threads stay for clients.
    const auto most_anew = std::max<std::size_t>(static_cast<std::size_t>(options.threads) / 2, 1);
    cached_answers_ = std::make_unique<response_cache::CachedAnswers>(*cache, *begin_, most_anew);
    begin_ = cached_answers_.get();
  }
  if (!rates.rates.empty()) {
    if (rates.table == nullptr) own_rates_ = std::make_unique<limits::RateTable>();
    rate_limits_ = std::make_unique<limits::RateLimits>(
        rates.rates, own_rates_ ? *own_rates_ : *rates.table, *begin_, report);
    begin_ = rate_limits_.get();
  }
  if (!files.mounts.empty()) {
    static_files_ = std::make_unique<static_files::StaticFiles>(files, *begin_, report);
    begin_ = static_files_.get();
  }
  if (!options.health_path.empty()) {
    health_answers_ =
        std::make_unique<health::HealthAnswers>(options.health_path, *begin_, std::move(look));
    begin_ = health_answers_.get();
  }
  const tracing::Marks marks{options.request_start_header, options.trace_context,
                             options.request_id};
  if (marks.any()) {
    marking_ = std::make_unique<tracing::Marking>(marks, *begin_);
    begin_ = marking_.get();
  }
}

void RequestPath::stop() {
  if (cached_answers_) cached_answers_->stop();
}

}  // namespace prowingen::bindings
