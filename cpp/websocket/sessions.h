// All WebSockets of a server: who is to be pinged or given up when, and who is told when it stops.
// One thread, begun with the first of them, looks at each when its time comes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "core/exchange.h"
#include "websocket/protocol.h"

namespace prowingen::websocket {

class Session;

class Sessions {
 public:
  using Schedule = std::multimap<SteadyTime, std::weak_ptr<Session>>;

  /// A session's in the schedule.
  struct Place {
    bool is_counted = false;
    bool is_listed = false;
    bool is_over = false;
    Schedule::iterator entry;
  };

  struct Counters {
    std::uint64_t open = 0;
    std::uint64_t accepted = 0;
    std::uint64_t messages_received = 0;
    std::uint64_t messages_sent = 0;
  };

  Sessions() = default;
  ~Sessions() { stop(); }
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  // ---- any thread
  /// Throws std::system_error: there are no threads left.
  void add(const std::shared_ptr<Session>& session, SteadyTime look_at);
  /// Looks at it then, in place of when it would have.
  void look(Session& session, SteadyTime at);
  void remove(Session& session);
  void count_received() { received_.fetch_add(1, std::memory_order_relaxed); }
  void count_sent() { sent_.fetch_add(1, std::memory_order_relaxed); }
  Counters counters() const;

  /// Closes all of them, and those that come from now on.
  void close_all(const Close& why);
  /// Ends the thread. Idempotent; one thread.
  void stop();

 private:
  void run();
  void tell_late(Session& session);
  void list(Session& session, std::weak_ptr<Session> itself, SteadyTime at);

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Schedule schedule_;
  std::thread thread_;
  std::unique_ptr<const Close> closing_;  // null: it takes sessions; constant once it is set
  std::uint64_t open_ = 0;
  std::uint64_t accepted_ = 0;
  bool stopped_ = false;

  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::uint64_t> sent_{0};
};

}  // namespace prowingen::websocket
