// What a server knows of itself, in figures: written to its line of the scoreboard, added to the
// tally, and shown to administrators as the figures of all processes. All of it without the GIL.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bindings/request_path.h"
#include "core/engine.h"
#include "core/memory_budget.h"
#include "core/spool_file.h"
#include "core/work_queue.h"
#include "metrics/families.h"
#include "metrics/text.h"
#include "metrics/thread_times.h"
#include "processes/scoreboard.h"
#include "processes/tally.h"
#include "response_cache/response_cache.h"
#include "websocket/sessions.h"

namespace prowingen::bindings {

class Figures {
 public:
  /// They outlive this, and are asked by any thread.
  struct Sources {
    std::string_view engine_name;
    std::function<EngineCounters()> engine;
    const WorkQueue& queue;
    const MemoryBudget& memory;
    const Spool& spool;
    const websocket::Sessions& websockets;
    const response_cache::ResponseCache* cache;  // null: none
    std::function<std::uint64_t()> static_files;
    std::function<std::uint64_t()> over_rate;
    std::function<std::optional<std::uint64_t>()> log_lines_lost;  // nothing: it is not known now
  };

  explicit Figures(Sources sources) : sources_(std::move(sources)) {}

  /// What is so now.
  void publish(Scoreboard::Slot& slot) const;

  // ---- once somebody wants to know them
  /// From now on what is done is counted, together with other processes, if there are any: null,
  /// null for one that is alone. Before any thread is begun. What it is counted on.
  Scoreboard& count(Scoreboard* shared, Scoreboard::Slot* slot);
  bool counts() const { return board_ != nullptr; }
  /// Adds to the tally what has been counted elsewhere.
  void carry();
  /// Of all processes: as they are now, and as a page that says so.
  metrics::Picture look();
  std::string page(metrics::Form form) { return metrics::render(form, look()); }
  PushLedger& pushes() { return board_->pushes(); }
  // ---- for those who watch: admin/watchers.h
  /// What the workers are in is written where all processes see it, if anybody watches.
  void sample();
  /// The events that watchers are told: see admin/event_text.h.
  std::string event(std::string_view ready);
  std::string slowest_event();
  /// It goes on, and takes no more connections.
  void begin_drain();
  /// What a worker thread tells of its waits; empty: nobody wants to know.
  std::function<void(std::chrono::nanoseconds)> gil_waits();
  metrics::ThreadTimes& thread_times() { return thread_times_; }

 private:
  Carrier::Figures counted_elsewhere();
  response_cache::ResponseCache::Counters cache() const;

  const Sources sources_;
  metrics::ThreadTimes thread_times_;
  std::unique_ptr<Scoreboard> own_;   // null: it has its place on a supervisor's
  Scoreboard* board_ = nullptr;       // null: nobody wants to know
  Scoreboard::Slot* slot_ = nullptr;  // likewise
  std::unique_ptr<Carrier> carrier_;  // likewise
};

}  // namespace prowingen::bindings
