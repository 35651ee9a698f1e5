// Those who watch a server: answers that do not end, to which the same events are pushed.
//
//   I/O thread --add()--> watchers <--push-- its own thread, ten times a second, for all of them
//                            |
//                            +--they are cut, or ended--> gone
//
// An event is made once, whoever many watch, and none while nobody does. A watcher that has not
// taken what it was sent before is left out: its memory is bounded by that, it keeps nobody
// waiting, and as figures are cumulative it loses nothing. The thread never waits for Python.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/exchange.h"

namespace prowingen::admin {

class Watchers {
 public:
  static constexpr std::size_t most = 32;
  static constexpr std::chrono::milliseconds interval{100};
  static constexpr unsigned intervals_of_slowest = 10;
  /// Of what a watcher has not taken, beyond which it is told no more.
  static constexpr std::size_t high_water = 64 * 1024;

  /// What they are told; but for the first, on the thread of this.
  struct Tells {
    std::function<std::string()> server;
    std::function<std::string()> figures;
    std::function<std::string()> slowest;
  };

  explicit Watchers(Tells tells) : tells_(std::move(tells)) {}
  ~Watchers() { stop(); }
  Watchers(const Watchers&) = delete;
  Watchers& operator=(const Watchers&) = delete;

  /// One more, whose exchange was taken, and has the head that is to be sent. False: there is no
  /// room, and it is to be answered otherwise. I/O thread.
  bool add(const std::shared_ptr<Exchange>& exchange);
  /// They are to ask others, as this process goes; none is taken any more. Any thread.
  void end();
  /// Nothing is called once it returns. One thread; idempotent.
  void stop();

 private:
  void run();
  /// False: it has left.
  static bool send(Exchange& watcher, const std::string& events);

  const Tells tells_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Exchange>> watchers_;
  bool has_new_ = false;  // one that was told nothing yet
  bool ended_ = false;
  bool stopped_ = false;
  std::thread thread_;  // begun with the first of them
};

}  // namespace prowingen::admin
