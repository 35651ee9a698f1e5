// One I/O thread: an event loop, the connections it owns, and the mailbox through which workers
// reach them. What is not marked otherwise is for that thread only.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/complaints.h"
#include "core/engine.h"
#include "core/lead.h"
#include "core/memory_waiters.h"
#include "core/memory_watch.h"
#include "core/options.h"
#include "engine_embedded/arrivals.h"
#include "engine_embedded/connection.h"
#include "engine_embedded/deadlines.h"
#include "engine_embedded/http1_exchange.h"
#include "engine_embedded/http2_exchange.h"
#include "event_loop/event_loop.h"
#include "http1/response_writer.h"

namespace prowingen::embedded {

class IoThread final : public Transport {
 public:
  explicit IoThread(const EngineContext& context);
  ~IoThread() override;

  // ---- any thread
  void start();
  /// Ends the loop after closing every connection, and joins the thread. Idempotent.
  void stop();
  void drain();
  /// Takes over a connection that was accepted.
  void adopt(ConnectionSocket socket, unsigned listener, std::shared_ptr<ConnectionInfo> info);
  /// Runs `task` on this thread soon; never if the loop has ended.
  void post(std::function<void()> task);
  void output_ready(std::shared_ptr<Exchange> exchange, bool more_soon) override;
  void body_wanted(std::shared_ptr<Exchange> exchange) override;
  void client_doubted(std::shared_ptr<Exchange> exchange) override;
  void flush() override;
  Lead* lead() override { return &lead_; }
  std::shared_ptr<MemoryBudget> memory() override { return context_.memory; }
  std::size_t open_connections() const { return open_.load(std::memory_order_relaxed); }
  /// Of these, those that speak that major version of HTTP.
  std::size_t speaking(int version) const {
    return (version == 2 ? http2_ : http1_).load(std::memory_order_relaxed);
  }
  std::uint64_t tls_handshakes() const { return tls_handshakes_.load(std::memory_order_relaxed); }
  std::uint64_t tls_failures() const { return tls_failures_.load(std::memory_order_relaxed); }

  // ---- this thread
  EventLoop& loop() { return loop_; }
  const Options& options() const { return context_.options; }
  const RequestLimits& limits() const { return limits_; }
  const EngineContext& context() const { return context_; }
  Deadlines& deadlines() { return deadlines_; }
  Complaints& complaints() { return complaints_; }
  const http1::StandingFields& standing() const { return standing_; }
  std::span<char> read_buffer() { return read_buffer_; }
  std::string& spare_text() { return spare_text_; }
  Exchange::Output& output() { return output_; }
  bool draining() const { return draining_; }
  SteadyTime now() const { return loop_.now(); }
  /// Begins HTTP on a connection whose ends are known.
  void open(Channel channel, unsigned listener, std::shared_ptr<const ConnectionInfo> info);
  /// The client of a connection without TLS began with HTTP/2's preface.
  void open_http2(Connection& before, Channel channel, unsigned listener,
                  std::shared_ptr<const ConnectionInfo> info, std::string_view input);
  void forget(Connection& connection);
  /// One that was adopted is no more.
  void count_closed() { open_.fetch_sub(1, std::memory_order_relaxed); }
  std::shared_ptr<Http1Exchange> make_http1_exchange() { return http1_pool_.make(*this); }
  void recycle(std::shared_ptr<Http1Exchange> exchange) {
    http1_pool_.recycle(std::move(exchange));
  }
  /// Queues an exchange for the workers, together with those of the other sockets that are ready.
  std::shared_ptr<Http2Exchange> make_http2_exchange() { return http2_pool_.make(*this); }
  void recycle(std::shared_ptr<Http2Exchange> exchange) {
    http2_pool_.recycle(std::move(exchange));
  }
  void submit(std::shared_ptr<ConnectionExchange> exchange);
  /// The connection does not read until memory is freed.
  void await_memory(std::shared_ptr<Connection> connection);
  void count_refusal() { refused_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }  // any thread
  void count_handshake(bool completed) {
    (completed ? tls_handshakes_ : tls_failures_).fetch_add(1, std::memory_order_relaxed);
  }
  void count_protocol_error() { protocol_errors_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t protocol_errors() const {  // any thread
    return protocol_errors_.load(std::memory_order_relaxed);
  }

 private:
  enum class Subject : std::uint8_t { output, body, client };
  struct Mail {
    std::shared_ptr<Exchange> exchange;
    Subject subject;
  };

  void run();
  /// What a worker does that has the lead.
  void take_turn(std::optional<SteadyTime> until) noexcept;
  void look_at_sockets(std::optional<SteadyTime> until);
  void look_at_inbox();
  void run_tasks();
  void begin(ConnectionSocket socket, unsigned listener, std::shared_ptr<ConnectionInfo> info);
  void close_all();
  void add(const std::shared_ptr<Connection>& connection, int spoken);
  std::atomic<std::size_t>& count_of(const Connection& connection) {
    return connection.spoken == 2 ? http2_ : http1_;
  }
  void post_mail(Mail mail, bool may_wait);
  void deliver_mail();
  void submit_gathered();
  void let_requests_gather();
  void tick();
  void see_to_holders(MemoryWatch::Task task);
  void resume_reading();

  const EngineContext context_;
  const RequestLimits limits_;
  EventLoop loop_;
  EventLoop::Timer tick_timer_;
  const std::chrono::steady_clock::duration tick_interval_;
  Deadlines deadlines_;
  http1::StandingFields standing_;
  bool draining_ = false;
  bool closed_ = false;
  bool has_submitted_ = false;  // in this turn
  std::vector<std::shared_ptr<Connection>> connections_;
  Complaints complaints_;
  Arrivals arrivals_;
  MemoryWatch memory_watch_;
  ExchangePool<Http1Exchange> http1_pool_;
  ExchangePool<Http2Exchange> http2_pool_;
  std::array<char, 128 * 1024> read_buffer_;
  std::string spare_text_;
  Exchange::Output output_;
  std::vector<std::shared_ptr<Exchange>> gathered_;  // to be submitted
  std::vector<std::shared_ptr<Exchange>> submitting_;
  std::vector<Mail> delivering_;
  std::vector<std::shared_ptr<Connection>> ready_;
  std::vector<std::shared_ptr<ConnectionExchange>> doubted_;
  MemoryWaiters<Connection> awaiting_memory_;

  std::atomic<std::thread::id> id_;  // of who has the lead, or had it last
  std::atomic<std::size_t> open_{0};
  std::atomic<std::size_t> http1_{0};
  std::atomic<std::size_t> http2_{0};
  std::atomic<std::uint64_t> tls_handshakes_{0};
  std::atomic<std::uint64_t> tls_failures_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> protocol_errors_{0};
  std::mutex inbox_mutex_;  // guards mailbox_ and tasks_
  std::vector<Mail> mailbox_;
  std::vector<std::function<void()>> tasks_;
  std::atomic<std::size_t> inbox_size_{0};  // of both, readable without the lock

  Lead lead_;
  std::thread thread_;
};

}  // namespace prowingen::embedded
