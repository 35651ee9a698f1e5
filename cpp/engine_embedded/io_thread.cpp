#include "engine_embedded/io_thread.h"

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include "core/signals.h"

namespace prowingen::embedded {
namespace {

using std::chrono::milliseconds;

// How long a closed connection's remaining input is read, so that its last answer arrives.
constexpr auto linger_time = std::chrono::seconds(2);
constexpr auto drain_time = std::chrono::seconds(1);
constexpr std::size_t max_spares = 256;
// Answers that may wait for a sleeping I/O thread before it is woken: a wake-up costs two context
// switches, an answer in a larger batch costs only the delay.
constexpr std::size_t mail_batch = 16;
// Short against what a client notices, long against a request's arrival.
constexpr std::chrono::microseconds gather_time{250};

std::array<Deadlines::Clock::duration, timeout_kinds> lengths(const Options& options) {
  return {to_duration(options.header_timeout),
          to_duration(options.keep_alive_timeout),
          to_duration(options.body_timeout),
          to_duration(options.write_timeout),
          linger_time,
          drain_time};
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
      work_(loop_.get_executor()),
      tick_timer_(loop_),
      tick_interval_(tick_interval(context.options)),
      deadlines_(lengths(context.options)),
      standing_(context.options.server_header, context.options.date_header),
      now_(std::chrono::steady_clock::now()) {
  standing_.refresh();
}

IoThread::~IoThread() { stop(); }

void IoThread::start() {
  thread_ = std::thread([this] {
    const BlockedSignals no_signals;  // they belong to Python's main thread
    standing_.refresh();
    schedule_tick();
    loop_.run();
  });
}

void IoThread::stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(loop_, [this] {
    closed_ = true;
    advance_clock();
    while (!connections_.empty()) connections_.back()->close(Departure::server_stopped);
    tick_timer_.cancel();
    work_.reset();
  });
  thread_.join();
}

void IoThread::drain() {
  boost::asio::post(loop_, [this] {
    draining_ = true;
    advance_clock();
    // A copy: draining closes, and closing reorders the list.
    for (const auto& connection : std::vector(connections_)) connection->drain();
  });
}

void IoThread::adopt(int socket, unsigned listener, std::shared_ptr<const ConnectionInfo> info) {
  open_.fetch_add(1, std::memory_order_relaxed);
  const auto begin = [this, socket, listener, info = std::move(info)] {
    if (closed_) {
      ::close(socket);
      open_.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
    auto connection = std::make_shared<Connection>(*this, socket, listener, info);
    connection->index = connections_.size();
    connections_.push_back(connection);
    connection->start();
  };
  boost::asio::dispatch(loop_, begin);
}

void IoThread::forget(Connection& connection) {
  const std::size_t index = connection.index;
  std::swap(connections_[index], connections_.back());
  connections_[index]->index = index;
  connections_.pop_back();
  open_.fetch_sub(1, std::memory_order_relaxed);
}

std::shared_ptr<Http1Exchange> IoThread::make_exchange() {
  if (spares_.empty()) return std::make_shared<Http1Exchange>(*this);
  auto exchange = std::move(spares_.back());
  spares_.pop_back();
  return exchange;
}

void IoThread::recycle(std::shared_ptr<Http1Exchange> exchange) {
  // A worker may still be on its way out of it; then it frees it.
  if (exchange.use_count() != 1 || spares_.size() == max_spares) return;
  std::atomic_thread_fence(std::memory_order_acquire);
  exchange->renew();
  spares_.push_back(std::move(exchange));
}

// ---------------------------------------------------------------------------- submitting

void IoThread::submit(std::shared_ptr<Http1Exchange> exchange) {
  gathered_.push_back(std::move(exchange));
  // Runs behind the handlers of the sockets that are ready now. Never from here: submitting may
  // reject an exchange and deliver mail, and the caller is in the middle of a connection's input.
  if (gathered_.size() == 1) boost::asio::post(loop_, [this] { submit_gathered(); });
}

void IoThread::submit_gathered() {
  if (gathered_.empty()) return;
  submitting_.swap(gathered_);
  const std::size_t accepted = context_.sink.submit(submitting_);
  for (std::size_t i = accepted; i < submitting_.size(); ++i) {
    auto& exchange = static_cast<Http1Exchange&>(*submitting_[i]);
    if (exchange.connection != nullptr) exchange.connection->shared_from_this()->reject(exchange);
  }
  submitting_.clear();
  let_requests_gather();
}

// While the workers are busy with what they have, reading further requests one by one gains
// nothing, and each costs the wake-up of this thread: with a Flask application that was 60 µs of
// CPU for a request of 100 µs. Answers that are ready meanwhile leave together afterwards.
void IoThread::let_requests_gather() {
  const auto backlog = context_.sink.backlog();
  if (backlog < 2 * gather_time) return;
  std::this_thread::sleep_for(gather_time);
  advance_clock();
  deliver_mail();
}

// ---------------------------------------------------------------------------- mailbox

void IoThread::output_ready(std::shared_ptr<Exchange> exchange, bool more_soon) {
  post_mail({std::move(exchange), Subject::output}, more_soon);
}

void IoThread::body_wanted(std::shared_ptr<Exchange> exchange) {
  post_mail({std::move(exchange), Subject::body}, false);
}

void IoThread::post_mail(Mail mail, bool may_wait) {
  {
    const std::lock_guard lock(mailbox_mutex_);
    mailbox_.push_back(std::move(mail));
    mail_waits_.store(true, std::memory_order_relaxed);
    if (wake_posted_ || (may_wait && mailbox_.size() < mail_batch)) return;
    wake_posted_ = true;
  }
  wake();
}

void IoThread::flush() {
  {
    const std::lock_guard lock(mailbox_mutex_);
    if (mailbox_.empty() || wake_posted_) return;
    wake_posted_ = true;
  }
  wake();
}

void IoThread::wake() {
  // Asio makes a system call for this only if the loop sleeps.
  boost::asio::post(loop_, [this] {
    advance_clock();
    deliver_mail();
  });
}

void IoThread::deliver_mail() {
  {
    const std::lock_guard lock(mailbox_mutex_);
    wake_posted_ = false;
    mail_waits_.store(false, std::memory_order_relaxed);
    delivering_.swap(mailbox_);
  }
  // All of a connection's answers leave in one system call, so each is looked at once, after
  // every exchange of the batch has been seen.
  for (auto& mail : delivering_) {
    auto& exchange = static_cast<Http1Exchange&>(*mail.exchange);
    if (exchange.connection == nullptr) continue;
    if (mail.subject == Subject::body) {
      exchange.connection->shared_from_this()->body_wanted(exchange);
    } else {
      ready_.push_back(exchange.connection->shared_from_this());
    }
  }
  delivering_.clear();
  for (const auto& connection : ready_) connection->output_ready();
  ready_.clear();
}

// ---------------------------------------------------------------------------- time

void IoThread::schedule_tick() {
  tick_timer_.expires_after(tick_interval_);
  tick_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || closed_) return;
    tick();
    schedule_tick();
  });
}

void IoThread::tick() {
  advance_clock();
  standing_.refresh();
  while (Deadline* expired = deadlines_.pop_expired(now_)) {
    expired->connection->on_timeout(expired->kind);
  }
  check_mailbox();
}

}  // namespace prowingen::embedded
