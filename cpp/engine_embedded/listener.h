// A listening socket on the first I/O thread's loop: accepts connections and deals them out.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/forks.h"
#include "engine_embedded/io_thread.h"
#include "engine_embedded/socket_ops.h"

namespace prowingen::embedded {

class Listener final : private ReadyHandler {
 public:
  using IoThreads = std::vector<std::unique_ptr<IoThread>>;

  Listener(const EngineContext& context, IoThreads& threads, ListenerSpec spec, unsigned index);

  // ---- the first I/O thread
  void start();  // std::system_error
  /// Accepts what the kernel has already queued, then closes the socket: a connection whose
  /// handshake is done has been accepted as far as its client can tell.
  void close();

  std::uint64_t accepted() const { return accepted_.load(std::memory_order_relaxed); }  // any

 private:
  void on_ready(Interest) override { accept_some(); }
  void resume();
  bool accept_some();
  void pause(std::chrono::milliseconds time);
  void hand_over(Accepted& connection);

  const EngineContext& context_;
  IoThreads& threads_;
  UniqueFd socket_;
  KeptFromChildren kept_;
  EventLoop::Watch watch_;
  EventLoop::Timer retry_timer_;
  const std::string description_;
  const unsigned index_;
  std::string local_address_;
  std::string local_port_;
  std::size_t next_thread_ = 0;
  bool reported_exhaustion_ = false;
  std::atomic<std::uint64_t> accepted_{0};
};

}  // namespace prowingen::embedded
