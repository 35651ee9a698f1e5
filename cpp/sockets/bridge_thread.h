// The thread that moves bytes between exchanges and the sockets of applications. It is begun with
// the first of them.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "event_loop/event_loop.h"

namespace prowingen {
class Exchange;
}

namespace prowingen::sockets {

class Bridge;

class BridgeThread {
 public:
  /// `report`: tells an administrator of a mistake of an application. Any thread.
  explicit BridgeThread(std::function<void(std::string)> report) : report_(std::move(report)) {}
  ~BridgeThread() { stop(); }
  BridgeThread(const BridgeThread&) = delete;
  BridgeThread& operator=(const BridgeThread&) = delete;

  /// A bridge for the exchange, which tells it of its changes. Any thread. Throws
  /// std::system_error: there are no descriptors or no threads left.
  std::shared_ptr<Bridge> make(const std::shared_ptr<Exchange>& exchange, std::size_t high_water);
  /// Has the bridge look at its exchange and its socket. Any thread.
  void schedule(std::shared_ptr<Bridge> bridge);
  /// Ends all of them. Idempotent; one thread.
  void stop();

 private:
  friend class Bridge;
  void run();
  void see_to_scheduled();
  void begin(const std::shared_ptr<Bridge>& bridge);

  // ---- from its bridges, on the thread itself
  std::array<char, 65536>& buffer() { return buffer_; }
  void report(std::string text) const { report_(std::move(text)); }
  void forget(Bridge& bridge);

  const std::function<void(std::string)> report_;
  std::array<char, 65536> buffer_;
  std::vector<std::shared_ptr<Bridge>> bridges_;  // each knows its index
  std::vector<std::shared_ptr<Bridge>> over_;     // until nothing of theirs runs

  std::mutex mutex_;                 // guards what follows
  std::unique_ptr<EventLoop> loop_;  // made once, with the thread
  std::thread thread_;
  std::vector<std::shared_ptr<Bridge>> scheduled_;
  bool stopped_ = false;
};

}  // namespace prowingen::sockets
