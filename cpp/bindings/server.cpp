#include "bindings/server.h"

#include <fcntl.h>
#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "access_log/access_log.h"
#include "admin/event_text.h"
#include "bindings/activity_rows.h"
#include "bindings/admin.h"
#include "bindings/current_requests.h"
#include "bindings/engine_table.h"
#include "bindings/figures.h"
#include "bindings/fleet_readiness.h"
#include "bindings/options.h"
#include "bindings/overdue_requests.h"
#include "bindings/python_log.h"
#include "bindings/queue_rules.h"
#include "bindings/request_path.h"
#include "bindings/statsd_terms.h"
#include "bindings/supervised.h"
#include "bindings/tls.h"
#include "core/forks.h"
#include "core/https_redirect.h"
#include "core/log_channel.h"
#include "core/memory_budget.h"
#include "core/options.h"
#include "core/spool_file.h"
#include "core/work_queue.h"
#include "health/readiness.h"
#include "limits/lanes.h"
#include "limits/rate_limits.h"
#include "listener/handler.h"
#include "metrics/sample.h"
#include "metrics/thread_times.h"
#include "processes/idle_memory.h"
#include "processes/scoreboard.h"
#include "processes/tally.h"
#include "proxies/proxies.h"
#include "sockets/bridge_thread.h"
#include "static_files/named_files.h"
#include "statsd/pusher.h"
#include "tls/context.h"
#include "tls/renewal.h"
#include "websocket/sessions.h"
#include "wsgi/application.h"
#include "wsgi/async_exception.h"
#include "wsgi/departure_calls.h"
#include "wsgi/drop_list.h"
#include "wsgi/forked_child.h"
#include "wsgi/worker.h"

namespace prowingen::bindings {
namespace py = pybind11;
namespace {

using wsgi::release_gil;
using wsgi::without_gil;

// How often a drain looks whether it is done; it is no hot path.
constexpr std::chrono::milliseconds drain_poll{2};

// More than any machine has.
constexpr std::uint64_t no_memory_budget = std::uint64_t{1} << 60;

std::shared_ptr<Spool> make_spool(const Options& options, Spool::Report report) {
  return std::make_shared<Spool>(options.spool_dir, options.max_spool, std::move(report));
}

// Of a listener that sends its clients on: a body is thrown away as it comes, and whoever comes
// without TLS seldom speaks the version that is spoken with it.
Options for_redirects(Options options) {
  options.engine = "embedded";
  options.http = "auto";
  options.http3 = false;
  options.io_threads = 1;
  options.chunked_body = "stream";
  options.body_buffer = 0;
  return options;
}

using Listeners = std::vector<std::pair<int, std::string>>;
using Datagrams = std::vector<std::pair<std::vector<int>, std::uint16_t>>;

std::vector<ListenerSpec> taken_over(const Listeners& listeners, const Datagrams& datagrams = {}) {
  std::vector<ListenerSpec> specs;
  for (const auto& [fd, description] : listeners) specs.push_back({UniqueFd(fd), description, {}});
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    const auto& [sockets, first] = datagrams[i];
    for (const int socket : sockets) specs[i].datagrams.sockets.emplace_back(socket);
    specs[i].datagrams.first = first;
  }
  return specs;
}

UniqueFd copied(int descriptor) {
  if (descriptor < 0) return {};
  UniqueFd copy(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  if (!copy) throw std::system_error(errno, std::generic_category(), "fcntl");
  return copy;
}

std::chrono::nanoseconds nanoseconds_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(to_duration(seconds));
}

class Server {
 public:
  Server(const py::tuple& apps, const Listeners& listeners, const py::dict& options, py::object log,
         const std::optional<py::object>& access_log, const std::string& interface,
         bool multiprocess, const py::object& errors, const Listeners& redirects,
         const std::string& redirect_port, const Datagrams& datagrams, py::object add_thread,
         py::object add_departure_thread, const StaticMounts& static_mounts,
         const StaticMounts& sendfile_mounts, const static_files::MediaTypes& media_types,
         const PrefixTimes& time_limits, py::object tell_overdue, const Listeners& admins,
         const py::bytes& admin_page, const std::string& admin_policy, int admin_door,
         std::string admin_token, const StatsdTerms& statsd)
      : options_(read_options(options)),
        redirect_options_(for_redirects(options_)),
        redirect_(redirect_port, options_.acme_folder),
        proxies_(options_),
        memory_(std::make_shared<MemoryBudget>(options_.memory_budget != 0 ? options_.memory_budget
                                                                           : no_memory_budget)),
        engine_entry_(find_engine(options_)),
        tls_(make_tls(options_)),
        access_log_format_(AccessLogFormat::compile(options_.access_log_format)),
        static_rules_(static_rules(static_mounts, media_types, options_)),
        named_files_(sendfile_mounts.empty() ? nullptr
                                             : std::make_shared<static_files::NamedFiles>(
                                                   read_mounts(sendfile_mounts), media_types)),
        response_cache_(make_response_cache(options_)),
        overdue_(options_, time_limits, std::move(tell_overdue)),
        admin_page_{std::string(admin_page), admin_policy},
        statsd_(statsd_rules(statsd)),
        log_(std::move(log), access_log.value_or(py::none())),
        add_thread_(std::move(add_thread)),
        add_departure_thread_(std::move(add_departure_thread)),
        spool_(make_spool(options_,
                          [channel = channel_, whole = spools_whole()](std::string text) {
                            text += whole ? "; those without a length are answered 507"
                                          : "; the application reads it as it comes";
                            channel->add(Severity::error, std::move(text));
                          })),
        application_(make_adapter(apps, listeners.size(), interface, multiprocess, errors)) {
    if (!datagrams.empty() && datagrams.size() != listeners.size()) {
      throw std::invalid_argument("datagrams: as many as listeners");
    }
    listeners_ = taken_over(listeners, datagrams);
    redirect_listeners_ = taken_over(redirects);
    admin_listeners_ = taken_over(admins);
    admin_control_ = {copied(admin_door), std::move(admin_token)};
  }

  ~Server() {
    stop();
    if (supervised_) supervised_->end();
    drop_list_.drop_all();
  }

  // What a supervisor wants of one of its processes; before start().
  void supervise(Scoreboard& scoreboard, std::size_t slot, int lifeline, int status_pipe,
                 bool tells_ready, std::uint64_t max_requests, double grace,
                 const py::bytes& ticket_key, limits::RateTable& rates) {
    if (engine_) throw std::runtime_error("the server has been started already");
    if (tls_) tls_->share_tickets(std::string_view(ticket_key));
    const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(to_duration(grace));
    const Supervised::Terms terms{status_pipe, tells_ready, max_requests, patience};
    supervised_ = std::make_unique<Supervised>(scoreboard, slot, UniqueFd(lifeline), terms);
    counted_rates_.table = &rates;
    scoreboard.tally().set_process(slot);
    scoreboard.activity().set_process(slot);
  }

  void start() {
    if (engine_) throw std::runtime_error("the server has been started already");
    keep_freed_memory();
    const auto report = [channel = channel_](Severity severity, std::string text) {
      channel->add(severity, std::move(text));
    };
    const bool warns = !supervised_ || !supervised_->is_warned_for();
    if (tls_) renewal_ = std::make_unique<tls::Renewal>(*tls_, report, warns);
    if (log_.takes_access()) {
      open_access_log(LogChannel::sink(channel_));
    } else if (options_.access_log == "-") {
      open_access_log(log_to_stdout());
    } else if (!options_.access_log.empty()) {
      open_access_log(log_to_file(options_.access_log));
    }
    Scheduler::Rules rules;
    rules.workers = static_cast<std::size_t>(options_.threads);
    // An application with one thread is called by one at a time.
    rules.most_away =
        options_.threads == 1 ? 0 : static_cast<std::size_t>(options_.long_lived_threads);
    queue_ = std::make_unique<WorkQueue>(
        rules, options_.queue_size,
        [this] {
          if (Engine* engine = running_engine_.load()) engine->flush();
        },
        queue_patience(options_, report), queue_target(options_, report), lanes_,
        overdue_.patience());
    path_ = std::make_unique<RequestPath>(
        options_, *queue_, response_cache_.get(), static_rules_, counted_rates_,
        [this] { return obstacle(); }, report);
    figures_ = make_figures();
    Tally* tally = nullptr;
    Activity* activity = nullptr;
    if (!admin_listeners_.empty() || statsd_) {
      Scoreboard& board = supervised_
                              ? figures_->count(&supervised_->scoreboard(), &supervised_->slot())
                              : figures_->count(nullptr, nullptr);
      tally = &board.tally();
      if (!admin_listeners_.empty()) activity = &board.activity();
    }
    if (keeps_requests_ || activity != nullptr) queue_->keep_busy();
    engine_ = engine_entry_.make(
        EngineContext{options_, proxies_, tls_.get(), path_->begin(), memory_, access_log_.get(),
                      report, accept_share(), spool_, tally, activity},
        std::move(listeners_));
    if (!redirect_listeners_.empty()) {
      redirect_engine_ =
          find_engine(redirect_options_)
              .make(EngineContext{redirect_options_, proxies_, nullptr, redirect_, memory_,
                                  access_log_.get(), report, nullptr, spool_, tally, activity},
                    std::move(redirect_listeners_));
    }
    if (!admin_listeners_.empty()) {
      const bool controls = !admin_control_.token.empty();
      admin_ = std::make_unique<Admin>(
          options_, std::move(admin_listeners_),
          Admin::Tells{[this] { return obstacle(); },
                       [this](metrics::Form form) { return figures_->page(form); },
                       events(controls)},
          std::move(admin_page_), std::move(admin_control_), report, spool_);
    }
    if (spool_->directory().empty() && spools_whole()) {
      report(Severity::warning,
             "there is no temporary directory: request bodies without a length are limited to what "
             "memory spares for them, 64 KiB at least, unless spool_dir names one or chunked_body "
             "is stream");
    }
    running_engine_ = engine_.get();
    overdue_.begin({*queue_, channel_, [this] { return add_thread(); },
                    [this] {
                      if (supervised_) supervised_->tell_stuck();
                    }});
    started_in_.emplace();
    engine_->start();
    if (redirect_engine_) redirect_engine_->start();
    if (admin_) admin_->start();
    if (statsd_) {
      pusher_ = std::make_unique<statsd::Pusher>(
          figures_->pushes(), *statsd_, [this] { return figures_->look(); }, report);
    }
    if (!supervised_) return;
    // Without the GIL, which the application may hold for ever.
    supervised_->begin([this](Scoreboard::Slot& slot) {
      figures_->publish(slot);
      figures_->carry();
      metrics::sample(supervised_->scoreboard().activity(), *queue_,
                      std::chrono::steady_clock::now());
    });
    // After all that can fail, as the supervisor then lets others go. And before the application is
    // called, for which the GIL is needed, that is kept since the engine's start: whatever becomes
    // of the first request, this process could start.
    if (!supervised_->tell_ready()) {
      ::kill(::getpid(), SIGTERM);  // nobody counts on it: it is to answer what comes, and to leave
    }
  }

  void work() {
    if (!queue_) throw std::runtime_error("the server has not been started");
    std::optional<metrics::ThreadTimes::Member> timed;
    if (figures_->counts()) timed.emplace(figures_->thread_times());
    wsgi::Worker worker(
        *queue_, [this] { return add_thread(); }, figures_->gil_waits());
    const CurrentRequests::Watched watched(current_requests_, worker);
    const auto runner = application_->make_runner(*queue_, py::cast(this).ptr());
    for (;;) {
      while (auto exchange = queue_->next(worker.id)) {
        if (supervised_ && !exchange->events) supervised_->count_request();
        worker.request = exchange.get();
        run(*runner, exchange);
        worker.request = nullptr;
        wsgi::leave_if_forked(*exchange);
        drop_list_.drop_all();
        // What was raised a moment too late is not the next request's.
        if (overdue_.raises()) wsgi::forget_async_exception();
      }
      struct Woken {
        bool go_on;
        SteadyTime at;
      };
      const auto woken = release_gil([&] {
        engine_->flush();
        const bool go_on = queue_->park(worker.id, engine_->lead());
        return Woken{go_on, std::chrono::steady_clock::now()};
      });
      if (!woken.go_on) return;
      const auto waited = std::chrono::steady_clock::now() - woken.at;
      worker.waited_for_gil(waited);
      queue_->got_gil(worker.id, waited, switch_interval());
    }
  }

  void pump_log() {
    std::deque<LogChannel::Event> events;
    while (release_gil([&] { return take_log(events); })) {
      if (events.empty()) drop_list_.drop_all();
      log_.pass_on(events);
    }
  }

  // What applications have called when clients depart.
  void call_departures() {
    std::vector<wsgi::DepartureCalls::Call> due;
    while (release_gil([&] { return departures_->next(due); })) {
      for (const auto& call : due) {
        const auto done = wsgi::PyRef::steal(PyObject_CallNoArgs(call.callable->get()));
        if (is_parents()) return;  // in a child that it has forked, which this ends
        if (done) continue;
        log_.tell(Severity::error,
                  call.request + ": a callback of prowingen.client_disconnected failed");
      }
      due.clear();
      drop_list_.drop_all();
    }
  }

  // What is asked for now is that nobody comes any more: all are served as before.
  void announce_stop() { draining_ = true; }

  void set_ready(bool ready) {
    unready_ = !ready;
    if (supervised_) supervised_->slot().set(Score::unready, ready ? 0 : 1);
  }

  // What an administrator says, whatever the application does: of this process alone.
  void withdraw(bool withdrawn) { withdrawn_ = withdrawn; }

  std::string readiness() const {
    if (!engine_ || is_parents()) return "it does not serve";
    return std::string(unready_because());
  }

  std::vector<CurrentRequests::Request> requests() const {
    return is_parents() ? std::vector<CurrentRequests::Request>() : current_requests_.list();
  }

  // It costs each request a reference; before start().
  void keep_requests() { keeps_requests_ = true; }

  py::list doing() const {
    if (!queue_ || is_parents()) return py::list();
    return activity_rows(metrics::rows_of(*queue_), std::chrono::steady_clock::now());
  }

  void begin_drain() {
    announce_stop();
    if (!engine_ || is_parents()) return;
    if (supervised_) supervised_->begin_drain();
    figures_->begin_drain();
    without_gil([&] {
      websockets_->close_all({websocket::close_code::going_away, "the server stops"});
      engine_->drain();
      if (redirect_engine_) redirect_engine_->drain();
      // While the others go on, they tell all that is asked; else it is told to the end.
      if (admin_) admin_->drain(supervised_ && !supervised_->scoreboard().draining());
      return true;
    });
  }

  bool wait_drained(double seconds) {
    if (!engine_ || is_parents()) return true;
    return without_gil([&] {
      const auto deadline = std::chrono::steady_clock::now() + to_duration(seconds);
      while (!engine_->drained() || (redirect_engine_ && !redirect_engine_->drained()) ||
             (admin_ && !admin_->drained()) || queue_->has_events()) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        std::this_thread::sleep_for(drain_poll);
      }
      return true;
    });
  }

  void stop() {
    if (stopped_) return;
    stopped_ = true;
    if (is_parents()) {
      // Its threads cannot be joined here.
      static_cast<void>(engine_.release());
      static_cast<void>(redirect_engine_.release());
      overdue_.abandon();
      static_cast<void>(admin_.release());
      static_cast<void>(pusher_.release());
      static_cast<void>(path_.release());
      static_cast<void>(queue_.release());
      static_cast<void>(access_log_.release());
      if (supervised_) supervised_->abandon();
      static_cast<void>(bridges_.release());
      static_cast<void>(websockets_.release());
      static_cast<void>(departures_.release());
      return;
    }
    without_gil([&] {
      overdue_.stop();
      if (engine_) engine_->stop();
      if (redirect_engine_) redirect_engine_->stop();
      bridges_->stop();
      websockets_->stop();
      if (path_) path_->stop();
      if (queue_) queue_->stop();
      departures_->close();
      if (admin_) admin_->stop();
      if (engine_ && figures_) figures_->carry();
      if (pusher_) pusher_->stop();
      {
        const std::lock_guard lock(access_log_mutex_);
        access_log_.reset();
      }
      channel_->close();
      listeners_.clear();
      redirect_listeners_.clear();
      admin_listeners_.clear();
      admin_control_ = {};
      return true;
    });
    drop_list_.drop_all();
  }

  void reopen_logs() {
    if (is_parents()) return;
    without_gil([&] {
      const std::lock_guard lock(access_log_mutex_);
      if (access_log_) access_log_->reopen();
      return true;
    });
  }

  void renew_certificates() {
    if (!tls_ || is_parents()) return;
    const auto fault = without_gil([&]() -> std::optional<std::string> {
      try {
        std::string faults;
        for (const auto& each : tls_->renew()) {
          faults.append(faults.empty() ? "" : "; ").append(each);
        }
        if (!faults.empty()) return faults;
      } catch (const std::invalid_argument& error) {  // which must not pass the GIL's return
        return error.what();
      }
      return std::nullopt;
    });
    if (fault) throw std::invalid_argument(*fault);
  }

  double stalled_for() const {
    return queue_ && !is_parents() ? std::chrono::duration<double>(queue_->stalled_for()).count()
                                   : 0;
  }

  py::dict stats() const {
    py::dict stats;
    if (!engine_ || is_parents()) return stats;
    const auto engine = engine_counters();
    const auto queue = queue_->counters();
    stats["connections_accepted"] = engine.connections_accepted;
    stats["connections_open"] = engine.connections_open;
    stats["requests_refused"] = engine.requests_refused;
    stats["protocol_errors"] = engine.protocol_errors;
    const auto memory = memory_->counters();
    stats["memory_budget"] = memory_->limit();
    stats["memory_used"] = memory_->used();
    stats["memory_shortages"] = memory.shortages;
    stats["memory_cut"] = memory.cut;
    const auto websockets = websockets_->counters();
    stats["websockets_open"] = websockets.open;
    stats["websockets_accepted"] = websockets.accepted;
    stats["websocket_messages_received"] = websockets.messages_received;
    stats["websocket_messages_sent"] = websockets.messages_sent;
    stats["static_files"] = path_->static_files_answered();
    const auto cache = cache_counters();
    stats["response_cache_hits"] = cache.hits;
    stats["response_cache_stale_hits"] = cache.stale_hits;
    stats["response_cache_misses"] = cache.misses;
    stats["response_cache_stored"] = cache.stored;
    stats["response_cache_evicted"] = cache.evicted;
    stats["response_cache_bytes"] = cache.bytes;
    stats["response_cache_entries"] = cache.entries;
    stats["requests_queued"] = queue.requests_queued;
    stats["requests_rejected"] = queue.requests_rejected;
    stats["requests_expired"] = queue.requests_expired;
    stats["requests_overdue"] = queue.requests_overdue;
    stats["requests_shed"] = queue.requests_shed;
    stats["requests_held"] = queue.requests_held;
    const auto rates = path_->rate_counters();
    stats["requests_over_rate"] = rates.refused;
    stats["requests_not_counted"] = rates.uncounted;
    stats["requests_taken"] = queue.requests_taken;
    stats["queue_length"] = queue.queue_length;
    stats["workers_running"] = queue.workers_running;
    stats["workers_away"] = queue.workers_away;
    stats["workers_stuck"] = queue.workers_stuck;
    stats["worker_wakes"] = queue.wakes;
    stats["bodies_spooled"] = spool_->files();
    stats["spooled_bytes"] = spool_->bytes();
    stats["application_blocks"] = static_cast<int>(queue.application_blocks);
    return stats;
  }

 private:
  /// Whether a body without a length arrives whole before a worker is taken.
  bool spools_whole() const { return options_.chunked_body == "spool"; }

  EngineCounters engine_counters() const {
    EngineCounters counters = engine_->counters();
    if (redirect_engine_) counters += redirect_engine_->counters();
    return counters;
  }

  response_cache::ResponseCache::Counters cache_counters() const {
    return response_cache_ ? response_cache_->counters()
                           : response_cache::ResponseCache::Counters();
  }

  std::unique_ptr<Figures> make_figures() {
    return std::make_unique<Figures>(Figures::Sources{
        engine_entry_.name, [this] { return engine_counters(); }, *queue_, *memory_, *spool_,
        *websockets_, response_cache_.get(), [this] { return path_->static_files_answered(); },
        [this] { return path_->rate_counters().refused; },
        [this]() -> std::optional<std::uint64_t> {
          // Whoever has the log reopened may wait for a slow reader meanwhile.
          const std::unique_lock lock(access_log_mutex_, std::try_to_lock);
          if (!lock || !access_log_) return std::nullopt;
          return access_log_->lines_lost();
        }});
  }

  /// This is the copy in a child that was forked while the server ran. The threads are in the
  /// parent, and may have held any lock at the fork.
  bool is_parents() const { return started_in_ && started_in_->is_parent(); }

  // Waits for log events, and sees meanwhile to the memory of a server that is idle, and to files
  // of certificates. No event: what the I/O threads are done with should be dropped, which no
  // worker comes by to do. False: the end.
  bool take_log(std::deque<LogChannel::Event>& events) {
    while (channel_->take(events, IdleMemory::interval)) {
      if (renewal_) renewal_->look(std::chrono::steady_clock::now());
      if (!events.empty() || drop_list_.has_some()) return true;
      if (!idle_memory_.due(queue_->counters().requests_taken, process_memory)) continue;
      give_memory_back();
      idle_memory_.given_back(process_memory());
    }
    return false;
  }

  std::unique_ptr<wsgi::Adapter> make_adapter(const py::tuple& apps, std::size_t listeners,
                                              const std::string& interface, bool multiprocess,
                                              const py::object& errors) {
    const auto report = [this](Severity severity, const std::string& message) {
      log_.tell(severity, message);
    };
    if (apps.size() != listeners) throw std::invalid_argument("apps: one for each listener");
    std::vector<wsgi::PyRef> callables;
    for (const py::handle app : apps) callables.push_back(wsgi::PyRef::borrow(app.ptr()));
    if (interface == "wsgi") {
      auto stream = errors.is_none() ? wsgi::PyRef() : wsgi::PyRef::borrow(errors.ptr());
      return std::make_unique<wsgi::Application>(
          std::move(callables), options_, multiprocess, std::move(stream), drop_list_, *bridges_,
          *websockets_, *departures_, named_files_, response_cache_, report);
    }
    if (interface == "listener") {
      return std::make_unique<listener::Handler>(std::move(callables), options_, drop_list_,
                                                 *websockets_, response_cache_, report);
    }
    throw std::invalid_argument("interface: \"" + interface + "\": must be wsgi or listener");
  }

  // The application may have set it. With the GIL.
  std::chrono::nanoseconds switch_interval() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
        to_duration(get_switch_interval_().cast<double>()));
  }

  // Whatever goes wrong here is the request's, and not the worker's.
  void run(wsgi::Adapter::Runner& runner, const std::shared_ptr<Exchange>& exchange) const {
    try {
      if (const auto events = exchange->events) return events->run();
      if (exchange->take()) runner.run(exchange);
    } catch (const std::exception& error) {
      PyErr_Clear();
      log_.tell(Severity::error, wsgi::request_line(*exchange) + ": " + error.what());
      exchange->abort();
    }
  }

  // A further worker, in place of one whose request lives long.
  bool add_thread() const {
    if (add_thread_.is_none()) return false;
    const auto added = wsgi::PyRef::steal(PyObject_CallNoArgs(add_thread_.ptr()));
    if (added) return true;
    log_.tell(Severity::error, "another worker thread cannot be started");
    return false;
  }

  bool add_departure_thread() const {
    return add_departure_thread_.is_none() ||
           wsgi::PyRef::steal(PyObject_CallNoArgs(add_departure_thread_.ptr()));
  }

  health::Obstacle obstacle() const {
    Scoreboard* const board = supervised_ ? &supervised_->scoreboard() : nullptr;
    const bool draining = draining_ || (board != nullptr && board->draining());
    const bool withdrawn = withdrawn_ || (board != nullptr && board->withdrawn());
    const auto own = health::obstacle_of(
        {draining, withdrawn, unready_, queue_->stalled_for(), queue_->waiting_for()},
        ready_patience_);
    if (own == health::Obstacle::none || draining || withdrawn || board == nullptr) return own;
    // The system gives new connections to any of them, and one that serves is enough.
    return another_is_ready(*board, ready_patience_) ? health::Obstacle::none : own;
  }

  /// Empty if it is ready.
  std::string_view unready_because() const {
    const health::Obstacle now = obstacle();
    return now == health::Obstacle::none ? std::string_view() : health::describe(now);
  }

  // What those who watch on the administrators' address are told; without the GIL.
  admin::Watchers::Tells events(bool controls) {
    return {[this, controls] {
              return admin::server_event(
                  {engine_entry_.name, static_cast<std::uint64_t>(options_.threads), controls});
            },
            [this] { return figures_->event(unready_because()); },
            [this] { return figures_->slowest_event(); }};
  }

  AcceptShare* accept_share() const { return supervised_ ? &supervised_->accept_share() : nullptr; }

  void open_access_log(std::shared_ptr<LogSink> sink) {
    auto log = std::make_unique<AccessLog>(
        access_log_format_, std::move(sink),
        [channel = channel_](std::string text) { channel->add(Severity::error, std::move(text)); });
    const std::lock_guard lock(access_log_mutex_);
    access_log_ = std::move(log);
  }

  const Options options_;
  const Options redirect_options_;
  HttpsRedirect redirect_;
  const Proxies proxies_;
  const std::shared_ptr<MemoryBudget> memory_;
  const EngineEntry& engine_entry_;
  const std::unique_ptr<tls::Context> tls_;  // null: none
  const AccessLogFormat access_log_format_;
  const static_files::StaticFiles::Rules static_rules_;
  const health::Patience ready_patience_{nanoseconds_of(options_.health_stall),
                                         nanoseconds_of(options_.queue_timeout)};
  limits::CountedRates counted_rates_{limits::parse_rate_limits(options_.rate_limit)};
  const BulkheadRules lanes_ = limits::parse_lanes(options_.max_concurrency);
  std::atomic<bool> draining_{false};
  std::atomic<bool> withdrawn_{false};
  std::atomic<bool> unready_{false};
  bool keeps_requests_ = false;
  CurrentRequests current_requests_;
  const std::shared_ptr<static_files::NamedFiles> named_files_;          // null: none may be named
  const std::shared_ptr<response_cache::ResponseCache> response_cache_;  // null: none is kept
  OverdueRequests overdue_;
  admin::PageAnswers::Page admin_page_;
  const std::optional<statsd::Rules> statsd_;  // nothing: figures are pushed nowhere
  const PythonLog log_;
  const py::object add_thread_;
  const py::object add_departure_thread_;
  const py::object get_switch_interval_ = py::module_::import("sys").attr("getswitchinterval");
  const std::shared_ptr<LogChannel> channel_ = std::make_shared<LogChannel>();
  const std::shared_ptr<Spool> spool_;
  std::unique_ptr<sockets::BridgeThread> bridges_ = std::make_unique<sockets::BridgeThread>(
      [channel = channel_](std::string text) { channel->add(Severity::error, std::move(text)); });
  std::unique_ptr<websocket::Sessions> websockets_ = std::make_unique<websocket::Sessions>();
  std::vector<ListenerSpec> listeners_;
  std::vector<ListenerSpec> redirect_listeners_;
  std::vector<ListenerSpec> admin_listeners_;
  Admin::Control admin_control_;
  std::unique_ptr<Supervised> supervised_;  // null: nobody does
  IdleMemory idle_memory_;                  // of the log's thread
  std::unique_ptr<tls::Renewal> renewal_;   // likewise; null: no TLS
  bool stopped_ = false;
  std::optional<Birthplace> started_in_;
  // Keeps a start or a stop out of reopen_logs(), which waits for the log without the GIL. Who
  // holds this must not wait for the GIL.
  std::mutex access_log_mutex_;

  // In the order in which they must outlive each other.
  wsgi::DropList drop_list_;
  std::unique_ptr<wsgi::DepartureCalls> departures_ =
      std::make_unique<wsgi::DepartureCalls>([this] { return add_departure_thread(); });
  std::unique_ptr<wsgi::Adapter> application_;
  std::unique_ptr<AccessLog> access_log_;
  std::unique_ptr<WorkQueue> queue_;
  std::unique_ptr<RequestPath> path_;
  std::unique_ptr<Figures> figures_;
  std::unique_ptr<Engine> redirect_engine_;  // null: nobody is sent on
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Admin> admin_;            // null: no administrator has an address
  std::unique_ptr<statsd::Pusher> pusher_;  // null: nothing is pushed
  std::atomic<Engine*> running_engine_{nullptr};
};

}  // namespace

void bind_engines(py::module_& m) {
  m.def(
      "engines",
      [] {
        py::dict versions;
        for (const auto& entry : engine_table()) {
          versions[py::str(entry.name.data(), entry.name.size())] = entry.version();
        }
        return versions;
      },
      "The engines built in, each with a text of its versions.");
}

void bind_server(py::module_& m) {
  // The operating system's errors are Python's OSError, with the errno and the message.
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      std::rethrow_exception(std::move(thrown));
    } catch (const std::system_error& error) {
      PyErr_SetObject(PyExc_OSError, py::make_tuple(error.code().value(), error.what()).ptr());
    }
  });
  m.def(
      "check_spool", [](const py::dict& options) { make_spool(read_options(options), {}); },
      py::arg("options"),
      "Makes a file where a server keeps request bodies. Raises ValueError where it cannot.");
  py::class_<Server>(m, "Server", py::is_final(), "An engine, a work queue and what it serves.")
      .def(py::init<const py::tuple&, const Listeners&, const py::dict&, py::object,
                    const std::optional<py::object>&, const std::string&, bool, const py::object&,
                    const Listeners&, const std::string&, const Datagrams&, py::object, py::object,
                    const StaticMounts&, const StaticMounts&, const static_files::MediaTypes&,
                    const PrefixTimes&, py::object, const Listeners&, const py::bytes&,
                    const std::string&, int, std::string, const StatsdTerms&>(),
           py::arg("apps"), py::arg("listeners"), py::arg("options"), py::kw_only(), py::arg("log"),
           py::arg("access_log"), py::arg("interface") = "wsgi", py::arg("multiprocess") = false,
           py::arg("errors") = py::none(), py::arg("redirects") = Listeners(),
           py::arg("redirect_port") = "", py::arg("datagrams") = Datagrams(),
           py::arg("add_thread") = py::none(), py::arg("add_departure_thread") = py::none(),
           py::arg("static_mounts") = StaticMounts(), py::arg("sendfile_mounts") = StaticMounts(),
           py::arg("media_types") = static_files::MediaTypes(),
           py::arg("time_limits") = PrefixTimes(), py::arg("tell_overdue") = py::none(),
           py::arg("admins") = Listeners(), py::arg("admin_page") = py::bytes(),
           py::arg("admin_policy") = "", py::arg("admin_door") = -1, py::arg("admin_token") = "",
           py::arg("statsd") = py::none(),
           "Takes over listening sockets; starts nothing. Raises ValueError for a bad option.")
      .def("supervise", &Server::supervise, py::arg("scoreboard"), py::arg("slot"), py::kw_only(),
           py::arg("lifeline"), py::arg("status_pipe"), py::arg("tells_ready"),
           py::arg("max_requests"), py::arg("grace"), py::arg("ticket_key"), py::arg("rates"),
           py::keep_alive<1, 2>(), py::keep_alive<1, 10>(),
           "Makes this the server of a supervised process; before start().")
      .def("start", &Server::start,
           "Starts the native threads and accepts connections. Call it after the last fork, and "
           "when all that serves is there: a supervisor is told so.")
      .def("work", &Server::work, "A worker thread's body: serves requests until stop().")
      .def("pump_log", &Server::pump_log,
           "One thread's body: hands log events to the callables until stop().")
      .def("call_departures", &Server::call_departures,
           "One thread's body: calls what is to be called when clients depart, until stop().")
      .def("announce_stop", &Server::announce_stop,
           "Probes are told from now on that it is not ready; it serves as before.")
      .def("set_ready", &Server::set_ready, py::arg("ready"),
           "Probes are told from now on what the application says of itself.")
      .def("withdraw", &Server::withdraw, py::arg("withdrawn"),
           "Probes are told from now on what an administrator says of this process.")
      .def("readiness", &Server::readiness,
           "Why probes are told that it is not ready; empty if it is.")
      .def("requests", &Server::requests,
           "Threads that are in requests: their numbers, request lines, and for how many seconds.")
      .def("keep_requests", &Server::keep_requests,
           "What worker threads are in is kept for doing() and the scoreboard's; before start().")
      .def("doing", &Server::doing, "What worker threads are in: see Scoreboard.doing().")
      .def("begin_drain", &Server::begin_drain,
           "Accepts no more, closes idle connections and lets requests finish.")
      .def("wait_drained", &Server::wait_drained, py::arg("seconds"),
           "Waits without the GIL. True when no exchange is left.")
      .def("stop", &Server::stop, "Closes everything now and wakes every blocked call.")
      .def("reopen_logs", &Server::reopen_logs,
           "Opens the access log's file anew, after a rotation.")
      .def("renew_certificates", &Server::renew_certificates,
           "Reads the files of certificates anew. Raises ValueError, and keeps what it has.")
      .def("stalled_for", &Server::stalled_for,
           "Seconds for which no worker has taken or ended a request, though it should have.")
      .def("stats", &Server::stats, "Counters since the start.");
}

}  // namespace prowingen::bindings
