#include "engine_proxygen/engine.h"

#include <openssl/crypto.h>

#include <atomic>
#include <exception>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "core/signals.h"
#include "engine_proxygen/compat.h"
#include "engine_proxygen/event_thread.h"
#include "engine_proxygen/handler.h"
#include "engine_proxygen/http1_gate.h"

namespace prowingen::proxygen_engine {
namespace {

/// The I/O threads, which proxygen's executor starts and ends: found by their event base.
class EventThreads {
 public:
  explicit EventThreads(const EngineContext& context) : context_(context) {}

  EventThread& here() {
    auto* loop = folly::EventBaseManager::get()->getEventBase();
    const std::lock_guard lock(mutex_);
    auto& thread = threads_[loop];
    if (!thread) thread = std::make_unique<EventThread>(context_, *loop);
    return *thread;
  }

  template <typename Action>
  void each(Action action) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [loop, thread] : threads_) action(*thread);
  }

 private:
  const EngineContext& context_;
  mutable std::mutex mutex_;  // guards the map, not the threads
  std::map<folly::EventBase*, std::unique_ptr<EventThread>> threads_;
};

class GateFactory final : public px::HTTPCodecFactory {
 public:
  GateFactory(EventThreads& threads, unsigned listener) : threads_(threads), listener_(listener) {}

  std::unique_ptr<px::HTTPCodec> getCodec(const std::string&, px::TransportDirection,
                                          bool) override {
    return std::make_unique<Http1Gate>(threads_.here(), listener_);
  }

 private:
  EventThreads& threads_;
  const unsigned listener_;
};

class HandlerFactory final : public px::RequestHandlerFactory {
 public:
  explicit HandlerFactory(EventThreads& threads) : threads_(threads) {}
  void onServerStart(folly::EventBase*) noexcept override { threads_.here(); }
  void onServerStop() noexcept override {}
  px::RequestHandler* onRequest(px::RequestHandler*, px::HTTPMessage* message) noexcept override {
    return new Handler(*Http1Gate::current(), *message);  // it ends with its transaction
  }

 private:
  EventThreads& threads_;
};

class SessionWatch final : public px::HTTPSession::InfoCallback {
 public:
  explicit SessionWatch(EventThreads& threads) : threads_(threads) {}
  void onCreate(const px::HTTPSessionBase& session) override {
    // The callback may look at sessions only; draining has to act on them.
    threads_.here().session_opened(const_cast<px::HTTPSessionBase&>(session));
  }
  void onDestroy(const px::HTTPSessionBase& session) override {
    threads_.here().session_closed(const_cast<px::HTTPSessionBase&>(session));
  }

 private:
  EventThreads& threads_;
};

class ProxygenEngine final : public Engine {
 public:
  ProxygenEngine(EngineContext context, std::vector<ListenerSpec> listeners)
      : context_(std::move(context)), threads_(context_), sessions_(threads_) {
    px::HTTPServerOptions options;
    options.threads = context_.options.io_threads;
    options.idleTimeout = std::chrono::duration_cast<std::chrono::milliseconds>(
        to_duration(context_.options.keep_alive_timeout));
    options.handlerFactories = px::RequestHandlerChain().addThen<HandlerFactory>(threads_).build();
    std::vector<px::HTTPServer::IPConfig> addresses;
    unsigned index = 0;
    for (auto& listener : listeners) {
      folly::SocketAddress address;
      address.setFromLocalAddress(folly::NetworkSocket::fromFd(listener.socket.get()));
      addresses.emplace_back(address, px::HTTPServer::Protocol::HTTP,
                             std::make_shared<GateFactory>(threads_, index++));
      options.useExistingSocket(listener.socket.release());
    }
    server_ = std::make_unique<px::HTTPServer>(std::move(options));
    server_->setSessionInfoCallback(&sessions_);
    server_->bind(std::move(addresses));
  }

  ~ProxygenEngine() override { stop(); }

  void start() override {
    std::promise<void> started;
    main_ = std::thread([&] {
      const BlockedSignals no_signals;  // they belong to Python's main thread
      server_->start([&] { started.set_value(); },
                     [&](std::exception_ptr error) { started.set_exception(std::move(error)); });
    });
    try {
      started.get_future().get();
    } catch (...) {
      main_.join();
      throw;
    }
  }

  void drain() override {
    server_->stopListening();
    threads_.each([](EventThread& thread) { thread.drain(); });
    drain_begun_.store(true, std::memory_order_release);
  }

  bool drained() const override {
    return drain_begun_.load(std::memory_order_acquire) && open_sessions() == 0;
  }

  void stop() override {
    if (!main_.joinable()) return;
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
      counters.connections_open += thread.open_sessions();
    });
    return counters;
  }

 private:
  std::size_t open_sessions() const {
    std::size_t open = 0;
    threads_.each([&](const EventThread& thread) { open += thread.open_sessions(); });
    return open;
  }

  const EngineContext context_;
  EventThreads threads_;
  SessionWatch sessions_;
  std::unique_ptr<px::HTTPServer> server_;
  std::thread main_;
  std::atomic<bool> drain_begun_{false};
};

}  // namespace

std::unique_ptr<Engine> make_engine(EngineContext context, std::vector<ListenerSpec> listeners) {
  return std::make_unique<ProxygenEngine>(std::move(context), std::move(listeners));
}

std::string engine_version() {
  return std::string("proxygen, ") + OpenSSL_version(OPENSSL_VERSION);
}

}  // namespace prowingen::proxygen_engine
