#include "bindings/admin.h"

#include <algorithm>
#include <utility>

#include "bindings/engine_table.h"

namespace prowingen::bindings {
namespace {

// Whoever asks has little to say, and comes once in a few seconds.
constexpr std::uint64_t memory = std::uint64_t{16} * 1024 * 1024;
constexpr std::size_t most_connections = 256;

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
             Control control, std::function<void(Severity, std::string)> report,
             std::shared_ptr<Spool> spool)
    : options_(for_administrators(options)),
      proxies_(options_),
      memory_(std::make_shared<MemoryBudget>(memory)),
      answers_(std::move(tells.figures)),
      control_(answers_, std::move(control.door), std::move(control.token), report),
      health_(std::string(metrics::admin_prefix), control_, std::move(tells.obstacle)),
      engine_(find_engine(options_).make(
          EngineContext{options_, proxies_, nullptr, health_, memory_, nullptr, std::move(report),
                        nullptr, std::move(spool), nullptr},
          std::move(listeners))) {}

void Admin::drain() {
  draining_ = true;
  engine_->drain();
}

}  // namespace prowingen::bindings
