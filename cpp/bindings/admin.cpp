#include "bindings/admin.h"

#include <algorithm>
#include <utility>

#include "bindings/engine_table.h"

namespace prowingen::bindings {
namespace {

// Whoever asks has little to say, and comes once in a few seconds.
constexpr std::uint64_t memory = std::uint64_t{16} * 1024 * 1024;
constexpr std::size_t most_connections = 256;
// What an answer that is on its way gets in a drain.
constexpr std::chrono::seconds drain_time{2};
constexpr std::chrono::milliseconds answer_time{500};

Options for_administrators(Options options) {
  options.engine = "embedded";
  options.http = "auto";
  options.http3 = false;
  options.io_threads = 1;
  options.max_connections = std::min<std::size_t>(options.max_connections, most_connections);
  options.chunked_body = "stream";
  options.body_buffer = 0;
  options.allow_connect = false;
  // No proxy stands before it.
  options.proxy_protocol = false;
  options.forwarded_allow_ips.clear();
  return options;
}

}  // namespace

Admin::Admin(const Options& options, std::vector<ListenerSpec> listeners, Tells tells,
             admin::PageAnswers::Page page, Control control,
             std::function<void(Severity, std::string)> report, std::shared_ptr<Spool> spool)
    : options_(for_administrators(options)),
      proxies_(options_),
      memory_(std::make_shared<MemoryBudget>(memory)),
      answers_(std::move(tells.figures)),
      control_(answers_, std::move(control.door), std::move(control.token), report),
      watchers_(std::move(tells.events)),
      page_(std::move(page), watchers_, control_),
      health_(std::string(metrics::admin_prefix), page_, std::move(tells.obstacle)),
      engine_(find_engine(options_).make(
          EngineContext{options_, proxies_, nullptr, health_, memory_, nullptr, std::move(report),
                        nullptr, std::move(spool), nullptr},
          std::move(listeners))) {}

void Admin::drain(bool others_go_on) {
  draining_since_ = std::chrono::steady_clock::now();
  closes_ = others_go_on;
  if (!closes_) return;
  watchers_.end();
  engine_->drain();
}

bool Admin::drained() {
  const auto since = std::chrono::steady_clock::now() - draining_since_;
  // That this is to stop may be what was asked for, and is being answered.
  if (since < answer_time && control_.busy()) return false;
  return !closes_ || engine_->drained() || since >= drain_time;
}

}  // namespace prowingen::bindings
