#include "engine_proxygen/engine.h"

#include <glog/logging.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "core/forks.h"
#include "core/signals.h"
#include "engine_proxygen/acceptor.h"
#include "engine_proxygen/compat.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/http1_codec.h"
#include "engine_proxygen/http2_codec.h"
#include "engine_proxygen/listener_addresses.h"
#include "engine_proxygen/listening.h"
#include "engine_proxygen/read_share.h"
#if defined(PROWINGEN_PROXYGEN_HTTP3)
#include "engine_proxygen/http3_server.h"
#endif
#include "engine_proxygen/tls_contexts.h"
#include "http2/protocol.h"
#include "processes/accept_share.h"

namespace prowingen::proxygen_engine {
namespace {

/// The I/O threads, which proxygen's executor starts and ends: found by their event base.
class EventThreads {
 public:
  EventThreads(const EngineContext& context, const ListenerAddresses& listeners)
      : context_(context), listeners_(listeners) {}

  /// Made before the loop has a connection, so that whoever closes them all knows them all.
  EventThread& add(folly::EventBase& loop) {
    const std::lock_guard lock(mutex_);
    const auto [place, made] = threads_.try_emplace(&loop);
    if (made) place->second = std::make_unique<EventThread>(context_, listeners_, loop);
    return *place->second;
  }
  EventThread& here() const {
    const std::lock_guard lock(mutex_);
    return *threads_.at(folly::EventBaseManager::get()->getEventBase());
  }

  template <typename Action>
  void each(Action action) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [loop, thread] : threads_) action(*thread);
  }

  /// Returns when each loop has looked at what is ready. Not for one of these threads.
  void wait_for_a_turn() const {
    std::vector<EventThread*> threads;  // which a loop may want to find meanwhile
    each([&](EventThread& thread) { threads.push_back(&thread); });
    for (EventThread* thread : threads) thread->loop().runInEventBaseThreadAndWait([] {});
  }

 private:
  const EngineContext& context_;
  const ListenerAddresses& listeners_;
  mutable std::mutex mutex_;  // guards the map, not the threads
  std::map<folly::EventBase*, std::unique_ptr<EventThread>> threads_;
};

class CodecFactory final : public px::HTTPCodecFactory {
 public:
  explicit CodecFactory(EventThreads& threads) : threads_(threads) {}

  std::unique_ptr<px::HTTPCodec> getCodec(const std::string& protocol, px::TransportDirection,
                                          bool) override {
    EventThread& thread = threads_.here();
    if (protocol == "h2" || thread.options().http == "2") {
      return std::make_unique<Http2Codec>(thread);
    }
    return std::make_unique<Http1Codec>(thread);
  }

 private:
  EventThreads& threads_;
};

class SessionWatch final : public px::HTTPSession::InfoCallback {
 public:
  SessionWatch(EventThreads& threads, std::function<void()> on_change)
      : threads_(threads), on_change_(std::move(on_change)) {}
  const std::function<void()>& on_change() const { return on_change_; }
  void onCreate(const px::HTTPSessionBase& session) override {
    if (session.getCodecProtocol() == px::CodecProtocol::HTTP_3) return;  // not connected yet
    // The callback may look at sessions only; draining has to act on them.
    threads_.here().session_opened(const_cast<px::HTTPSessionBase&>(session));
    on_change_();
  }
  void onFullHandshakeCompletion(const px::HTTPSessionBase& session) override {
    if (session.getCodecProtocol() != px::CodecProtocol::HTTP_3) return;
    threads_.here().session_opened(const_cast<px::HTTPSessionBase&>(session));
    on_change_();
  }
  void onActivateConnection(const px::HTTPSessionBase& session) override {
    if (has_streams(session)) threads_.here().session_busy(session);
  }
  void onDeactivateConnection(const px::HTTPSessionBase& session) override {
    if (has_streams(session)) threads_.here().session_idle(session);
  }
  void onDestroy(const px::HTTPSessionBase& session) override {
    threads_.here().session_closed(const_cast<px::HTTPSessionBase&>(session));
    on_change_();
  }

 private:
  // For each request: of HTTP/1 nothing is to be done, and finding the thread takes a lock.
  static bool has_streams(const px::HTTPSessionBase& session) {
    const auto protocol = session.getCodecProtocol();
    return protocol == px::CodecProtocol::HTTP_2 || protocol == px::CodecProtocol::HTTP_3;
  }

  EventThreads& threads_;
  std::function<void()> on_change_;
};

/// Acceptors with time limits of their own: HTTPServer knows one for all purposes.
class AcceptorFactory final : public wangle::AcceptorFactory {
 public:
  AcceptorFactory(const Options& options, std::shared_ptr<TlsContexts> tls, EventThreads& threads,
                  SessionWatch& sessions)
      : tls_(std::move(tls)),
        codecs_(std::make_shared<CodecFactory>(threads)),
        threads_(threads),
        sessions_(sessions) {
    const auto streams = static_cast<std::size_t>(options.max_streams);
    http_.maxConcurrentIncomingStreams = static_cast<std::uint32_t>(streams);
    http_.initialReceiveWindow = http_.receiveStreamWindowSize = options.stream_window;
    // HTTP/2: a body that waits for its worker must not use up what the others need.
    http_.receiveSessionWindowSize =
        std::min<std::size_t>(streams * options.stream_window, http2::max_window);
    const auto ours = px::HTTPServerAcceptor::makeConfig(
        {folly::SocketAddress(), px::HTTPServer::Protocol::HTTP}, http_);
    auto limits = std::make_shared<px::AcceptorConfiguration>(*ours);
    // Handlers, the codec and the event thread have limits of their own; a write has this one too.
    limits->transactionIdleTimeout = std::chrono::hours(24);
    limits->connectionIdleTimeout = std::chrono::hours(24);
    configuration_ = std::move(limits);
  }

  std::shared_ptr<wangle::Acceptor> newAcceptor(folly::EventBase* loop) override {
    const auto acceptor = std::make_shared<Acceptor>(configuration_, codecs_, tls_,
                                                     threads_.add(*loop), sessions_.on_change());
    acceptor->setSessionInfoCallback(&sessions_);
    acceptor->init(nullptr, loop);
    return acceptor;
  }

 private:
  px::HTTPServerOptions http_;
  std::shared_ptr<TlsContexts> tls_;
  std::shared_ptr<px::HTTPCodecFactory> codecs_;
  std::shared_ptr<const px::AcceptorConfiguration> configuration_;
  EventThreads& threads_;
  SessionWatch& sessions_;
};

constexpr std::chrono::milliseconds take_connections_time{100};

class ProxygenEngine final : public Engine {
 public:
  ProxygenEngine(EngineContext context, std::vector<ListenerSpec> listeners)
      : context_(std::move(context)),
        threads_(context_, listeners_),
        listening_(context_.accept_share == nullptr
                       ? Listening::OthersFirst()
                       : [this](unsigned taken) { return others_first(taken); }),
        sessions_(threads_, [this] { listening_.update([this] { return has_room(); }); }) {
    px::HTTPServerOptions options;
    options.threads = context_.options.io_threads;
    std::vector<px::HTTPServer::IPConfig> addresses;
    for (auto& listener : listeners) {
      folly::SocketAddress address;
      address.setFromLocalAddress(folly::NetworkSocket::fromFd(listener.socket.get()));
      listeners_.add(address);
      if (!listener.datagrams.sockets.empty()) {
        ports_.emplace_back(address, std::move(listener.datagrams));
      }
      addresses.emplace_back(address, px::HTTPServer::Protocol::HTTP);
      kept_.emplace_back(listener.socket.get());
      options.useExistingSocket(listener.socket.release());
    }
    enlarge_reads();
    server_ = std::make_unique<px::HTTPServer>(std::move(options));
    server_->bind(std::move(addresses));
  }

  ~ProxygenEngine() override { stop(); }

  void start() override {
    std::promise<void> started;
    main_ = std::thread([&] {
      const BlockedSignals no_signals;  // they belong to Python's main thread
      start_server(
          *server_, [&] { started.set_value(); },
          [&](std::exception_ptr error) { started.set_exception(std::move(error)); },
          std::make_shared<AcceptorFactory>(
              context_.options,
              context_.tls == nullptr ? nullptr : std::make_shared<TlsContexts>(*context_.tls),
              threads_, sessions_));
    });
    try {
      started.get_future().get();
    } catch (...) {
      main_.join();
      throw;
    }
    try {
      begin_http3();
    } catch (...) {
      stop();
      throw;
    }
    listening_.begin(*server_);
  }

  void drain() override {
    if (!main_.joinable()) return;  // it could not start
    take_connections();
    // More may have come; those that folly has are taken too, the others are another process's.
    listening_.pause();
    take_connections();
    listening_.end();
    kept_.clear();
    server_->stopListening();
    drain_http3();
    threads_.each([](EventThread& thread) { thread.drain(); });
    drain_begun_.store(true, std::memory_order_release);
  }

  bool drained() const override {
    // In this order: a connection that is made becomes a session.
    return drain_begun_.load(std::memory_order_acquire) && http3_drained() && open_sessions() == 0;
  }

  void stop() override {
    if (!main_.joinable()) return;
    listening_.end();
    kept_.clear();
    end_http3();
    threads_.each([](EventThread& thread) { thread.close(); });
    server_->stop();
    main_.join();
    server_.reset();
  }

  void flush() override {
    threads_.each([](EventThread& thread) { thread.flush(); });
  }

  EngineCounters counters() const override {
    EngineCounters counters;
    threads_.each([&](const EventThread& thread) {
      counters.connections_accepted += thread.accepted();
      counters.requests_refused += thread.refused();
      counters.protocol_errors += thread.protocol_errors();
      counters.connections_open += thread.open_sessions();
      counters.connections_http1 += thread.speaking(1);
      counters.connections_http2 += thread.speaking(2);
      counters.connections_http3 += thread.speaking(3);
      counters.tls_handshakes += thread.tls_handshakes();
      counters.tls_failures += thread.tls_failures();
    });
    return counters;
  }

 private:
  /// Returns when all connections that have come are sessions, or more come all the time. A
  /// listening socket that closes resets those in its queue, and folly loses those on their way to
  /// a loop.
  void take_connections() const {
    const auto deadline = std::chrono::steady_clock::now() + take_connections_time;
    std::uint64_t taken = 0;
    // A turn of a loop takes some of what waits for it; the first one may have begun before.
    for (int turns = 0; turns < 3 && std::chrono::steady_clock::now() < deadline; ++turns) {
      const bool waiting = listening_.has_waiting();
      threads_.wait_for_a_turn();
      const auto now_taken = counters().connections_accepted;
      if (waiting || std::exchange(taken, now_taken) != now_taken) turns = -1;
    }
  }

#if defined(PROWINGEN_PROXYGEN_HTTP3)
  void begin_http3() {
    std::vector<folly::EventBase*> loops;
    threads_.each([&](EventThread& thread) { loops.push_back(&thread.loop()); });
    for (const auto& [address, sockets] : ports_) {
      http3_.push_back(std::make_unique<Http3Server>(
          context_, address, sockets, loops, [this]() -> EventThread& { return threads_.here(); },
          [this] { return has_room(); }, sessions_));
    }
    ports_.clear();
  }
  /// Connections that have begun are still made; nobody else would.
  void drain_http3() {
    const auto deadline = std::chrono::steady_clock::now() + take_connections_time;
    while (std::chrono::steady_clock::now() < deadline &&
           std::ranges::any_of(http3_, [](auto& server) { return server->has_waiting(); })) {
      threads_.wait_for_a_turn();
    }
    for (const auto& server : http3_) server->drain();
  }
  bool http3_drained() const {
    return std::ranges::all_of(http3_, [](const auto& server) { return server->drained(); });
  }
  void end_http3() { http3_.clear(); }
#else
  void begin_http3() {}
  void drain_http3() {}
  bool http3_drained() const { return true; }
  void end_http3() {}
#endif

  // Thread that accepts. A connection becomes a session later, in a thread of its own.
  std::chrono::milliseconds others_first(unsigned taken) {
    taken_ += taken;
    std::uint64_t closed = 0;
    std::size_t open = 0;
    threads_.each([&](const EventThread& thread) {
      open += thread.open_sessions();
      closed += thread.accepted() - thread.open_sessions();
    });
    return context_.accept_share->others_first(std::max<std::size_t>(open, taken_ - closed));
  }

  bool has_room() const { return open_sessions() < context_.options.max_connections; }

  std::size_t open_sessions() const {
    std::size_t open = 0;
    threads_.each([&](const EventThread& thread) { open += thread.open_sessions(); });
    return open;
  }

  const EngineContext context_;
  ListenerAddresses listeners_;
  EventThreads threads_;
  Listening listening_;
  SessionWatch sessions_;
  std::unique_ptr<px::HTTPServer> server_;
  std::vector<KeptFromChildren> kept_;                                // listening sockets
  std::vector<std::pair<folly::SocketAddress, DatagramSpec>> ports_;  // until it starts
#if defined(PROWINGEN_PROXYGEN_HTTP3)
  std::vector<std::unique_ptr<Http3Server>> http3_;
#endif
  std::thread main_;
  std::atomic<bool> drain_begun_{false};
  std::uint64_t taken_ = 0;  // by the thread that accepts
};

// proxygen and folly speak through glog, on standard error. Where the program has set glog up for
// itself they go on; otherwise only what ends the process is said.
void quieten_glog() {
  if (!google::IsGoogleLoggingInitialized()) FLAGS_minloglevel = google::GLOG_FATAL;
}

}  // namespace

std::unique_ptr<Engine> make_engine(EngineContext context, std::vector<ListenerSpec> listeners) {
  quieten_glog();
  return std::make_unique<ProxygenEngine>(std::move(context), std::move(listeners));
}

std::vector<std::string> protocols(const Options& options) {
  if (options.http == "2") return {"h2"};
  if (options.http == "1.1") return {"http/1.1", "http/1.0"};
  return {"h2", "http/1.1", "http/1.0"};
}

bool has_http3() {
#if defined(PROWINGEN_PROXYGEN_HTTP3)
  return true;
#else
  return false;
#endif
}

std::string engine_version() {
  return std::string("proxygen " PROWINGEN_PROXYGEN_RELEASE ", ") +
         (has_http3() ? "HTTP/3, " : "") + OpenSSL_version(OPENSSL_VERSION);
}

}  // namespace prowingen::proxygen_engine
