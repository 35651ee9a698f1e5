#include "bindings/figures.h"

#include <vector>

#include "admin/event_text.h"
#include "bindings/fleet_readiness.h"
#include "metrics/sample.h"
#include "processes/reporter.h"

namespace prowingen::bindings {
namespace {

std::uint64_t count_of(std::chrono::nanoseconds time) {
  return static_cast<std::uint64_t>(time.count());
}

}  // namespace

void Figures::publish(Scoreboard::Slot& slot) const {
  const auto engine = sources_.engine();
  const auto queue = sources_.queue.counters();
  slot.set(Score::stalled_ns, count_of(sources_.queue.stalled_for()));
  slot.set(Score::waiting_ns, count_of(sources_.queue.waiting_for()));
  slot.set(Score::requests_taken, queue.requests_taken);
  slot.set(Score::requests_rejected, queue.requests_rejected);
  slot.set(Score::requests_refused, engine.requests_refused);
  slot.set(Score::protocol_errors, engine.protocol_errors);
  slot.set(Score::queue_length, queue.queue_length);
  slot.set(Score::workers_running, queue.workers_running);
  slot.set(Score::connections_accepted, engine.connections_accepted);
  slot.set(Score::connections_open, engine.connections_open);
  slot.set(Score::connections_http1, engine.connections_http1);
  slot.set(Score::connections_http2, engine.connections_http2);
  slot.set(Score::connections_http3, engine.connections_http3);
  slot.set(Score::workers, queue.workers);
  slot.set(Score::workers_waiting, queue.workers_waiting);
  slot.set(Score::workers_standing_by, queue.workers_standing_by);
  slot.set(Score::workers_away, queue.workers_away);
  slot.set(Score::workers_stuck, queue.workers_stuck);
  slot.set(Score::memory_budget, sources_.memory.limit());
  slot.set(Score::memory_used, sources_.memory.used());
  slot.set(Score::spooled_bytes, sources_.spool.bytes());
  slot.set(Score::websockets_open, sources_.websockets.counters().open);
  slot.set(Score::cache_bytes, cache().bytes);
  slot.set(Score::cache_entries, cache().entries);
}

response_cache::ResponseCache::Counters Figures::cache() const {
  return sources_.cache != nullptr ? sources_.cache->counters()
                                   : response_cache::ResponseCache::Counters();
}

Scoreboard& Figures::count(Scoreboard* shared, Scoreboard::Slot* slot) {
  if (shared == nullptr) {
    own_ = std::make_unique<Scoreboard>(1);
    own_->clear(0);
    own_->set_wanted(1);
    shared = own_.get();
    slot = &own_->slot(0);
    slot->set(Score::accepting, 1);
  }
  board_ = shared;
  slot_ = slot;
  carrier_ = std::make_unique<Carrier>(board_->tally());
  return *board_;
}

void Figures::carry() {
  if (carrier_) carrier_->carry([this] { return counted_elsewhere(); });
}

void Figures::begin_drain() {
  if (own_) slot_->set(Score::accepting, 0);
}

std::function<void(std::chrono::nanoseconds)> Figures::gil_waits() {
  if (!counts()) return {};
  return [&stripe = board_->tally().of_workers()](std::chrono::nanoseconds waited) {
    stripe.add(cells::gil_wait, waited);
  };
}

Carrier::Figures Figures::counted_elsewhere() {
  Carrier::Figures figures{};
  const auto set = [&](Carried figure, std::uint64_t value) {
    figures[static_cast<std::size_t>(figure)] = value;
  };
  const auto engine = sources_.engine();
  set(Carried::connections_accepted, engine.connections_accepted);
  set(Carried::protocol_errors, engine.protocol_errors);
  set(Carried::tls_handshakes, engine.tls_handshakes);
  set(Carried::tls_failures, engine.tls_failures);
  const auto queue = sources_.queue.counters();
  set(Carried::requests_rejected, queue.requests_rejected);
  set(Carried::requests_expired, queue.requests_expired);
  set(Carried::requests_shed, queue.requests_shed);
  set(Carried::requests_overdue, queue.requests_overdue);
  set(Carried::requests_over_rate, sources_.over_rate());
  const auto memory = sources_.memory.counters();
  set(Carried::memory_shortages, memory.shortages);
  set(Carried::memory_cut, memory.cut);
  set(Carried::bodies_spooled, sources_.spool.files());
  const auto websockets = sources_.websockets.counters();
  set(Carried::websockets_accepted, websockets.accepted);
  set(Carried::websocket_messages_received, websockets.messages_received);
  set(Carried::websocket_messages_sent, websockets.messages_sent);
  set(Carried::static_files_answered, sources_.static_files());
  const auto kept = cache();
  set(Carried::cache_hits, kept.hits);
  set(Carried::cache_stale_hits, kept.stale_hits);
  set(Carried::cache_misses, kept.misses);
  set(Carried::cache_stored, kept.stored);
  set(Carried::cache_evicted, kept.evicted);
  set(Carried::log_lines_lost, sources_.log_lines_lost().value_or(0));
  set(Carried::application_cpu_ns, thread_times_.total());
  const auto times = metrics::process_times();
  set(Carried::user_cpu_ns, times.user);
  set(Carried::system_cpu_ns, times.system);
  return figures;
}

void Figures::sample() {
  if (!counts()) return;
  metrics::sample(board_->activity(), sources_.queue, std::chrono::steady_clock::now());
}

metrics::Picture Figures::look() {
  // Its own as they are now; the others' are a tenth of a second old.
  publish(*slot_);
  tell_alive(*slot_);
  carry();
  metrics::Picture picture;
  picture.engine = sources_.engine_name;
  picture.wanted = board_->wanted();
  picture.sum = board_->tally().sum();
  for (std::size_t at = 0; at < board_->used(); ++at) {
    const Scoreboard::Slot& slot = board_->slot(at);
    if (slot.get(Score::pid) != 0 && is_alive(slot)) picture.workers.push_back({at, &slot});
  }
  return picture;
}

std::string Figures::event(std::string_view ready) {
  const auto now = std::chrono::steady_clock::now();
  board_->activity().watch(now);
  sample();
  auto picture = look();
  for (const auto& worker : picture.workers) {
    picture.doing.push_back(board_->activity().rows(worker.place, now));
  }
  return admin::figures_event(picture, now, ready);
}

std::string Figures::slowest_event() {
  const auto now = std::chrono::steady_clock::now();
  return admin::slowest_event(board_->activity().slowest(board_->used(), now), now);
}

}  // namespace prowingen::bindings
