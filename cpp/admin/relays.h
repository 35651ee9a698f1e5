// The thread of the relays, which is begun with the first of them: an administrators' address has
// one I/O thread, which waits for nobody.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "admin/door.h"
#include "event_loop/event_loop.h"

namespace prowingen {
class Exchange;
}

namespace prowingen::admin {

class Relay;

class Relays {
 public:
  static constexpr std::size_t most = 8;

  explicit Relays(UniqueFd door) : door_(std::move(door)) {}
  ~Relays() { stop(); }
  Relays(const Relays&) = delete;
  Relays& operator=(const Relays&) = delete;

  const Door& door() const { return door_; }
  /// Asks what the exchange, which is taken, wants: `question`, or what its content says if that is
  /// empty. False: there are as many as there may be, or there is no thread for it. Any thread.
  bool begin(const std::shared_ptr<Exchange>& exchange, std::string question);
  /// Has it look at its exchange. Any thread.
  void schedule(std::shared_ptr<Relay> relay);
  /// Whether something is asked, or an answer has not been sent to its end. Any thread.
  bool busy();
  /// Cuts all of them. Idempotent; one thread.
  void stop();

 private:
  friend class Relay;
  void run();
  void see_to_scheduled();
  void look();
  /// True: it is to end.
  bool forget_over();

  // ---- from its relays, on the thread itself
  EventLoop& loop() { return *loop_; }
  std::array<char, 65536>& buffer() { return buffer_; }

  const Door door_;
  std::array<char, 65536> buffer_;
  std::vector<std::shared_ptr<Relay>> relays_;

  std::mutex mutex_;                 // guards what follows
  std::unique_ptr<EventLoop> loop_;  // made once, with the thread
  std::thread thread_;
  std::vector<std::shared_ptr<Relay>> fresh_;
  std::vector<std::shared_ptr<Relay>> scheduled_;
  std::size_t there_ = 0;                          // those that are not over
  std::vector<std::weak_ptr<Exchange>> answered_;  // which may be on their way to their clients
  bool stopped_ = false;
};

}  // namespace prowingen::admin
