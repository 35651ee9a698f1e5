#include "engine_embedded/engine.h"

#include <openssl/crypto.h>

#include "engine_embedded/listener.h"
#include "http1/request_parser.h"
#include "http2/session.h"

namespace prowingen::embedded {
namespace {

class EmbeddedEngine final : public Engine {
 public:
  EmbeddedEngine(EngineContext context, std::vector<ListenerSpec> listeners)
      : context_(std::move(context)) {
    for (std::size_t i = 0; i < context_.options.io_threads; ++i) {
      threads_.push_back(std::make_unique<IoThread>(context_));
    }
    for (auto& spec : listeners) {
      listeners_.push_back(std::make_unique<Listener>(context_, threads_, std::move(spec),
                                                      static_cast<unsigned>(listeners_.size())));
    }
  }

  ~EmbeddedEngine() override { stop(); }

  void start() override {
    for (auto& listener : listeners_) listener->start();
    for (auto& thread : threads_) thread->start();
  }

  void drain() override {
    threads_.front()->post([this] {
      for (auto& listener : listeners_) listener->close();
      // Only now, so that what the listeners just accepted is drained too.
      for (auto& thread : threads_) thread->drain();
      drain_begun_.store(true, std::memory_order_release);
    });
  }

  bool drained() const override {
    if (!drain_begun_.load(std::memory_order_acquire)) return false;
    return open_connections() == 0;
  }

  void stop() override {
    if (stopped_) return;
    stopped_ = true;
    threads_.front()->post([this] {
      for (auto& listener : listeners_) listener->close();
    });
    for (auto& thread : threads_) thread->stop();
  }

  void flush() override {
    for (auto& thread : threads_) thread->flush();
  }

  // With several I/O threads there is no one who could look at all sockets.
  Lead* lead() override { return threads_.size() == 1 ? threads_.front()->lead() : nullptr; }

  EngineCounters counters() const override {
    EngineCounters counters;
    for (const auto& listener : listeners_) counters.connections_accepted += listener->accepted();
    for (const auto& thread : threads_) {
      counters.requests_refused += thread->refused();
      counters.protocol_errors += thread->protocol_errors();
      counters.connections_http1 += thread->speaking(1);
      counters.connections_http2 += thread->speaking(2);
      counters.tls_handshakes += thread->tls_handshakes();
      counters.tls_failures += thread->tls_failures();
    }
    counters.connections_open = open_connections();
    return counters;
  }

 private:
  std::size_t open_connections() const {
    std::size_t open = 0;
    for (const auto& thread : threads_) open += thread->open_connections();
    return open;
  }

  const EngineContext context_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::atomic<bool> drain_begun_{false};
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Engine> make_engine(EngineContext context, std::vector<ListenerSpec> listeners) {
  return std::make_unique<EmbeddedEngine>(std::move(context), std::move(listeners));
}

std::vector<std::string> protocols(const Options& options) {
  if (options.http == "2") return {"h2"};
  if (options.http == "1.1") return {"http/1.1", "http/1.0"};
  return {"h2", "http/1.1", "http/1.0"};
}

std::string engine_version() {
  return http1::parser_version() + ", " + http2::library_version() + ", " +
         OpenSSL_version(OPENSSL_VERSION);
}

}  // namespace prowingen::embedded
