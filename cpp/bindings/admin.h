// An administrator's address: an engine of its own with one I/O thread, so that nothing that
// clients do to the other one, and nothing that becomes of the application, keeps its answers
// waiting.
//
//   engine --> /-/live, /-/ready --> /-/, /-/events --> /-/metrics, or what there is
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/control_answers.h"
#include "admin/page_answers.h"
#include "admin/watchers.h"
#include "core/engine.h"
#include "core/memory_budget.h"
#include "core/options.h"
#include "health/health_answers.h"
#include "metrics/admin_answers.h"
#include "proxies/proxies.h"

namespace prowingen::bindings {

class Admin {
 public:
  struct Tells {
    std::function<health::Obstacle()> obstacle;
    std::function<std::string(metrics::Form)> figures;
    admin::Watchers::Tells events;
  };

  /// What is asked of whoever has the control socket. See admin/control_answers.h.
  struct Control {
    UniqueFd door;
    std::string token;
  };

  /// `options`: of the server that it is about. Takes over `listeners`, and starts nothing.
  Admin(const Options& options, std::vector<ListenerSpec> listeners, Tells tells,
        admin::PageAnswers::Page page, Control control,
        std::function<void(Severity, std::string)> report, std::shared_ptr<Spool> spool);

  void start() { engine_->start(); }
  /// Others go on in its place, or nobody does: then all is told to the end.
  void drain(bool others_go_on);
  /// There is nothing to wait for; nor for long, for who reads nothing.
  bool drained();
  void stop() {
    watchers_.stop();
    control_.stop();
    engine_->stop();
  }

 private:
  const Options options_;
  const Proxies proxies_;
  const std::shared_ptr<MemoryBudget> memory_;
  metrics::AdminAnswers answers_;
  admin::ControlAnswers control_;
  admin::Watchers watchers_;
  admin::PageAnswers page_;
  health::HealthAnswers health_;
  bool closes_ = false;
  std::chrono::steady_clock::time_point draining_since_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace prowingen::bindings
