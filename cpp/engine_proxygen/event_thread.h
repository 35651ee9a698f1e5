// What belongs to one of proxygen's I/O threads: its sessions, and the mailbox through which
// workers reach its exchanges. What is not marked otherwise is for that thread only.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/complaints.h"
#include "core/engine.h"
#include "core/memory_waiters.h"
#include "core/memory_watch.h"
#include "core/options.h"
#include "engine_proxygen/broken_watch.h"
#include "engine_proxygen/compat.h"
#include "engine_proxygen/exchange.h"
#include "engine_proxygen/listener_addresses.h"
#include "http1/response_writer.h"
#include "http2/header_field.h"
#include "proxies/proxy_header.h"

namespace prowingen::proxygen_engine {

class Acceptor;
class GuardedSession;
class Handler;
class Http1Codec;
class Http2Codec;

/// What has moved on a connection of HTTP/2, in bytes of bodies of all its streams together: how
/// they share it is their client's and proxygen's affair.
struct StreamsMoved {
  std::uint64_t received = 0;
  std::uint64_t taken = 0;  // by the client
};

class EventThread final : public Transport,
                          private folly::EventBase::LoopCallback,
                          private LoopTimer {
 public:
  EventThread(const EngineContext& context, const ListenerAddresses& listeners,
              folly::EventBase& loop);

  // ---- any thread
  void output_ready(std::shared_ptr<Exchange> exchange, bool more_soon) override;
  void body_wanted(std::shared_ptr<Exchange> exchange) override;
  void client_doubted(std::shared_ptr<Exchange> exchange) override;
  void flush() override;
  std::shared_ptr<MemoryBudget> memory() override { return context_.memory; }
  void drain();
  /// The loop is about to end: it is not woken any more.
  void close();
  std::size_t open_sessions() const { return open_.load(std::memory_order_relaxed); }
  /// Of these, those that speak that major version of HTTP.
  std::size_t speaking(int version) const {
    return spoken_[static_cast<std::size_t>(version - 1)].load(std::memory_order_relaxed);
  }
  std::uint64_t tls_handshakes() const { return tls_handshakes_.load(std::memory_order_relaxed); }
  std::uint64_t tls_failures() const { return tls_failures_.load(std::memory_order_relaxed); }
  std::uint64_t accepted() const { return accepted_.load(std::memory_order_relaxed); }
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  std::uint64_t protocol_errors() const { return protocol_errors_.load(std::memory_order_relaxed); }

  // ---- this thread
  folly::EventBase& loop() { return loop_; }
  const EngineContext& context() const { return context_; }
  const Options& options() const { return context_.options; }
  const RequestLimits& limits() const { return limits_; }
  bool draining() const { return draining_; }
  const http1::StandingFields& standing();
  Exchange::Output& output() { return output_; }
  /// Of the head that is made for HTTP/2 or 3.
  std::vector<http2::HeaderField>& fields() { return fields_; }
  /// For a codec that reads its own heads: a request, to which it gives a method and nothing else.
  std::unique_ptr<px::HTTPMessage> make_message();
  void recycle(std::unique_ptr<px::HTTPMessage> message);
  /// A message for a codec that writes its own heads.
  px::HTTPMessage& status_only(int status);
  std::shared_ptr<HandledExchange> make_exchange() { return pool_.make(*this); }
  void recycle(std::shared_ptr<HandledExchange> exchange) { pool_.recycle(std::move(exchange)); }
  /// Why a transaction ended with this error.
  Departure departure_of(px::ProxygenError error) const;
  /// Queues an exchange for the workers, together with those of the other sockets that are ready.
  void submit(std::shared_ptr<HandledExchange> exchange);
  void count_refusal() { refused_.fetch_add(1, std::memory_order_relaxed); }
  void count_handshake(bool completed) {
    (completed ? tls_handshakes_ : tls_failures_).fetch_add(1, std::memory_order_relaxed);
  }
  void session_opened(px::HTTPSessionBase& session);
  void session_closed(px::HTTPSessionBase& session);
  /// The session reads no more. If its client is gone it ends: of an error of TLS proxygen leaves
  /// it to the next write to find that out, and a reset that comes before the handshake's last
  /// write reads as an orderly end.
  void look_at_transport(px::HTTPSessionBase& session);
  /// So it does if its client goes while it reads nothing. Once for each session.
  void watch_transport(px::HTTPSessionBase& session);
  /// Of HTTP/2 and 3, where the time for the next request is not the codec's: it has streams, or
  /// none.
  void session_busy(const px::HTTPSessionBase& session);
  void session_idle(const px::HTTPSessionBase& session);
  const std::shared_ptr<const ConnectionInfo>& ends_of(const px::HTTPSessionBase& session);
  /// Which listening socket a session's connection came in by.
  unsigned listener_of(const px::HTTPSessionBase& session) const {
    return sessions_.at(&session).listener;
  }

  /// Ends a session at once, and its exchanges, for this reason.
  void drop(px::HTTPSessionBase& session, Departure why);
  /// For the log: a client is told to go away.
  void complain_of_http2(const ConnectionInfo& connection, std::string_view fault);
  void complain_of_http3(const ConnectionInfo& connection, std::string_view fault);

  /// Of HTTP/2 and 3.
  const std::shared_ptr<StreamsMoved>& streams_of(const px::HTTPSessionBase& session) const {
    return sessions_.at(&session).streams;
  }

  /// Null: it is not of HTTP/3.
  GuardedSession* guarded(const px::HTTPSessionBase& session) const {
    return sessions_.at(&session).guarded;
  }

  // ---- memory
  bool memory_is_short() const { return context_.memory->full(); }
  /// The exchange's request is not read until memory is freed.
  void await_memory(std::shared_ptr<HandledExchange> exchange);
  /// How often a session reads its socket before others have their turn: all of them together take
  /// about four megabytes in a turn of the loop, or each of them one read. What a crowd sends at
  /// once is in memory before anybody can be cut.
  std::uint16_t reads_per_event() const;
  /// If it is urgent somebody is given up, soon.
  void look_at_memory();
  void add(Handler& handler);
  void remove(Handler& handler);

  // ---- an acceptor
  void add(Acceptor& acceptor) { acceptors_.push_back(&acceptor); }
  void remove(Acceptor& acceptor) { std::erase(acceptors_, &acceptor); }
  void count_accepted() { accepted_.fetch_add(1, std::memory_order_relaxed); }
  /// A connection is open that is no session, and no more.
  void arrived() { open_.fetch_add(1, std::memory_order_relaxed); }
  void arrival_over() { open_.fetch_sub(1, std::memory_order_relaxed); }
  /// What the connection on this socket, which becomes a session, began with.
  void announce(int socket, const ProxyHeader& header) { announced_[socket] = header; }

 private:
  enum class Subject : std::uint8_t { output, body, client };
  struct Mail {
    std::shared_ptr<Exchange> exchange;
    Subject subject;
  };

  /// Ends a session of HTTP/2 or 3 that nobody asks for anything, with a GOAWAY; in a drain one
  /// that may be asked, after that was announced.
  class IdleTimer final : public LoopTimer {
   public:
    IdleTimer(EventThread& thread, px::HTTPSessionBase& session)
        : thread_(thread), session_(session) {}
    void end_next() { ends_next_ = true; }
    void timeoutExpired() noexcept override;

   private:
    EventThread& thread_;
    px::HTTPSessionBase& session_;
    bool ends_next_ = false;
  };

  /// A session: its ends, and how far its client has read. One that is behind and stands still is
  /// dropped: proxygen's own time limit is for one write, however slowly it goes on.
  struct Session {
    px::HTTPSessionBase* session;
    Http1Codec* http1 = nullptr;  // of HTTP/1, as the next one is of HTTP/2
    Http2Codec* http2 = nullptr;
    GuardedSession* guarded = nullptr;           // of HTTP/3
    std::shared_ptr<StreamsMoved> streams = {};  // null for HTTP/1
    std::shared_ptr<IdleTimer> idle = {};        // likewise
    unsigned listener = 0;
    std::optional<ProxyHeader> header = {};
    std::shared_ptr<const ConnectionInfo> ends = {};
    std::uint64_t acknowledged = 0;
    std::int64_t room = 0;  // the connection's window, of HTTP/2
    SteadyTime since = {};
    SteadyTime idle_since = {};  // of HTTP/2 and 3, once it was used

    /// The major version of HTTP.
    int speaks() const { return http1 != nullptr ? 1 : http2 != nullptr ? 2 : 3; }
    bool unused() const;
    bool long_idle() const;
    /// Of a head that is not whole, and of HTTP/2 of frames that are not sent.
    MemoryHolding memory_held(SteadyTime now) const;
    bool give_up() const;
  };

  class Tick final : public LoopTimer {
   public:
    explicit Tick(EventThread& thread) : thread_(thread) {}
    void timeoutExpired() noexcept override { thread_.see_to_memory(); }

   private:
    EventThread& thread_;
  };

  void runLoopCallback() noexcept override { submit_gathered(); }
  void timeoutExpired() noexcept override;
  bool stands_still(Session& progress, SteadyTime now) const;
  void announce_end(px::HTTPSessionBase& session);
  void end_idle(px::HTTPSessionBase& session);
  void look_at_broken(px::HTTPSessionBase* session);
  void drop_broken();
  void watch_progress();
  void see_to_memory();
  void look_at_readers();
  void see_to_holders(MemoryWatch::Task task);
  void submit_gathered();
  void post_mail(Mail mail, bool may_wait);
  void wake();
  void deliver_mail();
  std::atomic<std::size_t>& count_of(const Session& session) {
    return spoken_[static_cast<std::size_t>(session.speaks() - 1)];
  }

  const EngineContext& context_;
  const ListenerAddresses& listeners_;
  const RequestLimits limits_;
  folly::EventBase& loop_;
  bool draining_ = false;
  std::unordered_map<const px::HTTPSessionBase*, Session> sessions_;
  std::size_t guarded_sessions_ = 0;  // of them
  std::vector<Acceptor*> acceptors_;
  // By socket, until there is a session: a handshake may lie between. One that fails leaves its
  // entry to whoever gets the same number next, and announces itself anew.
  std::unordered_map<int, ProxyHeader> announced_;
  std::vector<px::HTTPSessionBase*> broken_;
  std::optional<Departure> dropping_for_;
  http1::StandingFields standing_;
  Exchange::Output output_;
  std::vector<http2::HeaderField> fields_;
  px::HTTPMessage status_only_;
  std::vector<std::unique_ptr<px::HTTPMessage>> messages_;
  ExchangePool<HandledExchange> pool_;
  std::vector<std::shared_ptr<Exchange>> gathered_;  // to be submitted
  std::vector<std::shared_ptr<Exchange>> submitting_;
  std::vector<Mail> delivering_;
  Complaints complaints_;
  MemoryWatch memory_watch_;
  Tick memory_tick_;
  std::vector<Handler*> handlers_;  // of requests that are received or answered
  MemoryWaiters<HandledExchange> awaiting_memory_;
  bool cut_posted_ = false;

  std::atomic<std::size_t> open_{0};
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> protocol_errors_{0};
  std::mutex mailbox_mutex_;  // guards what follows, and the loop's life as far as wakers go
  std::vector<Mail> mailbox_;
  bool wake_posted_ = false;
  bool closed_ = false;

  // Needs no lock.
  std::array<std::atomic<std::size_t>, 3> spoken_{};  // sessions, by major version of HTTP
  std::atomic<std::uint64_t> tls_handshakes_{0};
  std::atomic<std::uint64_t> tls_failures_{0};

  BrokenWatch broken_watch_;  // of this thread
};

}  // namespace prowingen::proxygen_engine
