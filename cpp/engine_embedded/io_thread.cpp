#include "engine_embedded/io_thread.h"

#include <openssl/err.h>

#include <algorithm>

#include "core/engine_figures.h"
#include "core/signals.h"
#include "engine_embedded/http1_connection.h"
#include "engine_embedded/http2_connection.h"
#include "proxies/proxies.h"

namespace prowingen::embedded {
namespace {

using std::chrono::milliseconds;

std::array<Deadlines::Clock::duration, timeout_kinds> lengths(const Options& options) {
  return {to_duration(options.header_timeout),
          to_duration(options.keep_alive_timeout),
          to_duration(options.body_timeout),
          to_duration(options.write_timeout),
          linger_time,
          drain_grace,
          to_duration(options.min_rate_window),
          to_duration(options.min_rate_window)};
}

// Often enough that a deadline is late by an eighth of the shortest limit at most.
Deadlines::Clock::duration tick_interval(const Options& options) {
  const auto limits = lengths(options);
  return std::clamp<Deadlines::Clock::duration>(*std::ranges::min_element(limits) / 8,
                                                milliseconds(5), milliseconds(250));
}

}  // namespace

IoThread::IoThread(const EngineContext& context)
    : context_(context),
      limits_(context.options.request_limits()),
      tick_timer_(loop_, [this] { tick(); }),
      tick_interval_(tick_interval(context.options)),
      deadlines_(lengths(context.options)),
      standing_(context.options.server_header, context.options.date_header),
      complaints_(context_),
      arrivals_(*this),
      memory_watch_(*context_.memory, context_.report),
      lead_([this](std::optional<SteadyTime> until) { take_turn(until); },
            [this] { loop_.wake(); }) {
  standing_.refresh();
}

IoThread::~IoThread() { stop(); }

void IoThread::start() {
  thread_ = std::thread([this] {
    const BlockedSignals no_signals;  // they belong to Python's main thread
    run();
  });
}

void IoThread::run() {
  lead_.attend();
  id_.store(std::this_thread::get_id());
  tick();
  while (!closed_) {
    has_submitted_ = false;
    look_at_sockets(std::nullopt);
    // Requests first, so that workers start on them while answers leave.
    look_at_inbox();
    // A worker is awake then, and will soon have nothing else to do.
    if (has_submitted_ && gathered_.empty() && lead_.asked()) {
      lead_.lend();
      id_.store(std::this_thread::get_id());
    } else if (has_submitted_) {
      let_requests_gather();
    }
  }
  lead_.leave();
}

void IoThread::take_turn(std::optional<SteadyTime> until) noexcept {
  id_.store(std::this_thread::get_id());
  // The answers to what this worker has just run.
  look_at_inbox();
  if (closed_) return;
  look_at_sockets(until);
  look_at_inbox();
  submit_gathered();
  // This thread's own: what an application's use of OpenSSL would take for its fault.
  if (context_.tls != nullptr) ERR_clear_error();
}

void IoThread::look_at_sockets(std::optional<SteadyTime> until) {
  loop_.turn(gathered_.empty() && !lead_.told_itself(), until);
  loop_.acknowledge_wakes();
  submit_gathered();
}

void IoThread::look_at_inbox() {
  if (inbox_size_.load(std::memory_order_relaxed) != 0) {
    loop_.read_clock();
    run_tasks();
    deliver_mail();
  }
  if (context_.memory->urgent()) see_to_holders(MemoryWatch::Task::cut);
}

void IoThread::stop() {
  if (!thread_.joinable()) return;
  lead_.reclaim();
  post([this] { close_all(); });
  thread_.join();
}

void IoThread::close_all() {
  closed_ = true;
  arrivals_.close_all();
  while (!connections_.empty()) connections_.back()->close(Departure::server_stopped);
}

void IoThread::drain() {
  post([this] {
    draining_ = true;
    arrivals_.drain();
    // A copy: draining closes, and closing reorders the list.
    for (const auto& connection : std::vector(connections_)) connection->drain();
  });
}

void IoThread::adopt(ConnectionSocket socket, unsigned listener,
                     std::shared_ptr<ConnectionInfo> info) {
  open_.fetch_add(1, std::memory_order_relaxed);
  if (std::this_thread::get_id() == id_.load(std::memory_order_relaxed)) {
    return begin(std::move(socket), listener, std::move(info));
  }
  // Shared, since a std::function has to be copyable.
  post([this, socket = std::make_shared<ConnectionSocket>(std::move(socket)), listener,
        info = std::move(info)] { begin(std::move(*socket), listener, info); });
}

void IoThread::begin(ConnectionSocket socket, unsigned listener,
                     std::shared_ptr<ConnectionInfo> info) {
  if (closed_) return count_closed();
  if (context_.proxies.send_headers() || context_.tls != nullptr) {
    return arrivals_.add(std::move(socket), listener, std::move(info));
  }
  context_.proxies.complete(*info, nullptr);
  open(Channel(std::move(socket)), listener, std::move(info));
}

void IoThread::open(Channel channel, unsigned listener,
                    std::shared_ptr<const ConnectionInfo> info) {
  const bool http2 = options().http == "2" || channel.protocol() == "h2";
  if (http2) {
    add(std::make_shared<Http2Connection>(*this, std::move(channel), listener, std::move(info)), 2);
  } else {
    add(std::make_shared<Http1Connection>(*this, std::move(channel), listener, std::move(info)), 1);
  }
}

void IoThread::open_http2(Connection& before, Channel channel, unsigned listener,
                          std::shared_ptr<const ConnectionInfo> info, std::string_view input) {
  auto connection =
      std::make_shared<Http2Connection>(*this, std::move(channel), listener, std::move(info));
  open_.fetch_add(1, std::memory_order_relaxed);
  forget(before);
  add(connection, 2);
  connection->begin_with(input);
}

void IoThread::add(const std::shared_ptr<Connection>& connection, int spoken) {
  connection->spoken = spoken;
  count_of(*connection).fetch_add(1, std::memory_order_relaxed);
  connection->index = connections_.size();
  connections_.push_back(connection);
  connection->start();
  if (draining_) connection->drain();
}

void IoThread::forget(Connection& connection) {
  count_of(connection).fetch_sub(1, std::memory_order_relaxed);
  const std::size_t index = connection.index;
  std::swap(connections_[index], connections_.back());
  connections_[index]->index = index;
  connections_.pop_back();
  count_closed();
}

// ---------------------------------------------------------------------------- submitting

void IoThread::submit(std::shared_ptr<ConnectionExchange> exchange) {
  // Never at once: submitting may reject an exchange and deliver mail, and the caller is in the
  // middle of a connection's input.
  gathered_.push_back(std::move(exchange));
}

void IoThread::submit_gathered() {
  if (gathered_.empty()) return;
  submitting_.swap(gathered_);
  const std::size_t accepted = context_.sink.submit(submitting_);
  for (std::size_t i = accepted; i < submitting_.size(); ++i) {
    auto& exchange = static_cast<ConnectionExchange&>(*submitting_[i]);
    if (exchange.state() != ExchangeState::receiving) continue;
    if (exchange.connection != nullptr) exchange.connection->reject(exchange);
  }
  submitting_.clear();
  has_submitted_ = true;
}

// While the workers are busy with what they have, reading further requests one by one gains
// nothing, and each costs the wake-up of this thread: with a Flask application that was 60 µs of
// CPU for a request of 100 µs. Answers that are ready meanwhile leave together afterwards.
void IoThread::let_requests_gather() {
  const auto backlog = context_.sink.backlog();
  if (backlog < 2 * gather_time) return;
  std::this_thread::sleep_for(gather_time);
  loop_.read_clock();
}

// ---------------------------------------------------------------------------- inbox

void IoThread::post(std::function<void()> task) {
  {
    const std::lock_guard lock(inbox_mutex_);
    tasks_.push_back(std::move(task));
    inbox_size_.store(mailbox_.size() + tasks_.size(), std::memory_order_relaxed);
  }
  loop_.wake();
}

void IoThread::run_tasks() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(inbox_mutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

void IoThread::output_ready(std::shared_ptr<Exchange> exchange, bool more_soon) {
  post_mail({std::move(exchange), Subject::output}, more_soon);
}

void IoThread::body_wanted(std::shared_ptr<Exchange> exchange) {
  post_mail({std::move(exchange), Subject::body}, false);
}

void IoThread::client_doubted(std::shared_ptr<Exchange> exchange) {
  post_mail({std::move(exchange), Subject::client}, false);
}

void IoThread::post_mail(Mail mail, bool may_wait) {
  {
    const std::lock_guard lock(inbox_mutex_);
    mailbox_.push_back(std::move(mail));
    // Sequentially consistent, since the caller looks next whether the tick sleeps, and the tick
    // whether there is mail.
    inbox_size_.store(mailbox_.size() + tasks_.size());
    if (may_wait && mailbox_.size() < mail_batch) return;
  }
  loop_.wake();
}

void IoThread::flush() {
  if (inbox_size_.load() != 0) loop_.wake();
}

void IoThread::deliver_mail() {
  {
    const std::lock_guard lock(inbox_mutex_);
    delivering_.swap(mailbox_);
    inbox_size_.store(tasks_.size(), std::memory_order_relaxed);
  }
  // All of a connection's answers leave in one system call, so each is looked at once, after
  // every exchange of the batch has been seen.
  for (auto& mail : delivering_) {
    auto& exchange = static_cast<ConnectionExchange&>(*mail.exchange);
    if (exchange.connection == nullptr) continue;
    switch (mail.subject) {
      case Subject::body: exchange.connection->body_wanted(exchange); break;
      case Subject::output:
        exchange.connection->note_output(exchange);
        ready_.push_back(exchange.connection->shared_from_this());
        break;
      case Subject::client:
        doubted_.push_back(std::static_pointer_cast<ConnectionExchange>(mail.exchange));
        break;
    }
  }
  delivering_.clear();
  for (const auto& connection : ready_) connection->send_output();
  ready_.clear();
  for (const auto& exchange : doubted_) {
    if (exchange->connection != nullptr) exchange->connection->client_doubted(*exchange);
  }
  doubted_.clear();
}

// ---------------------------------------------------------------------------- time

void IoThread::tick() {
  tick_timer_.arm(std::chrono::steady_clock::now() + tick_interval_);
  loop_.read_clock();
  standing_.refresh();
  arrivals_.expire();
  while (Deadline* expired = deadlines_.pop_expired(loop_.now())) {
    expired->connection->on_timeout(expired->limit());
  }
  if (const auto task = memory_watch_.tick(loop_.now()); task != MemoryWatch::Task::none) {
    see_to_holders(task);
  }
  resume_reading();
}

// ---------------------------------------------------------------------------- memory

void IoThread::await_memory(std::shared_ptr<Connection> connection) {
  memory_watch_.note_shortage(loop_.now());
  awaiting_memory_.add(std::move(connection));
}

void IoThread::see_to_holders(MemoryWatch::Task task) {
  using Holder = std::shared_ptr<Connection>;
  memory_watch_.see_to_holders<Holder>(
      task, loop_.now(),
      [this](auto& holders) {
        for (const auto& connection : connections_) {
          if (const auto held = connection->memory_held(loop_.now()); held.counts()) {
            holders.emplace_back(held, connection);
          }
        }
      },
      [](Holder& connection, std::uint64_t held) { return connection->give_up(held); });
  resume_reading();
}

void IoThread::resume_reading() {
  awaiting_memory_.resume(*context_.memory,
                          [](Connection& connection) { connection.memory_freed(); });
}

}  // namespace prowingen::embedded
