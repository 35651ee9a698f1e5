// What applications have called when a client departs: one thread of the server's own calls it,
// that begins with the first of them. An application may compute or sleep on every worker
// meanwhile, which is what it wants to be told for.
//
//   exchange --on_end--> DepartureNotice --its calls--> DepartureCalls --next()--> that thread
//                              ^                              |
//                              '---- doubts the client, ------'
//                                    as long as it is open
//
// An engine tells of most departures by itself. Of a client that has closed its side alone, or
// whose body nobody reads, it is asked now and then, by that thread and by whoever waits.
#pragma once

#include <Python.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/exchange.h"
#include "core/forks.h"
#include "wsgi/drop_list.h"

namespace prowingen::wsgi {

class DepartureCalls;

/// How one exchange ended, for who may outlive it. Any thread; nothing here needs the GIL.
class DepartureNotice final : public ExchangeEndListener {
 public:
  struct Call {
    std::string request;  // whose client it is, for the error log
    std::unique_ptr<Keep> callable;
  };

  /// Of an exchange that has a worker.
  static std::shared_ptr<DepartureNotice> make(Exchange& exchange, DepartureCalls& calls);

  const Birthplace birthplace;

  bool over() const { return state() != State::open; }
  bool departed() const { return state() == State::departed; }
  /// Null: it is over.
  std::shared_ptr<Exchange> exchange();
  /// Has it called at the departure. False, and it is the caller's: the exchange is over.
  bool add(Call& call);
  /// Blocks until the exchange is over, or until then.
  void await_end(std::optional<SteadyTime> until);
  /// Has the engine look for the client; departed() tells it a little later.
  void doubt_client();

  void on_end(bool departed) override;

 private:
  enum class State : std::uint8_t { open, ended, departed };

  DepartureNotice(Exchange& exchange, DepartureCalls& calls)
      : exchange_(exchange.weak_from_this()), due_(calls) {}
  State state() const { return state_.load(std::memory_order_acquire); }

  std::mutex mutex_;
  std::condition_variable ended_;
  std::atomic<State> state_{State::open};  // written under the mutex
  // Without a claim on it: an exchange that is over serves the next request, if it is nobody's.
  std::weak_ptr<Exchange> exchange_;
  std::vector<Call> calls_;
  DepartureCalls& due_;  // until the exchange is over
};

class DepartureCalls {
 public:
  using Call = DepartureNotice::Call;

  /// `begin_thread`: begins the thread that calls next(). False with a Python error set.
  explicit DepartureCalls(std::function<bool()> begin_thread)
      : begin_thread_(std::move(begin_thread)) {}

  /// Has the notice's client looked for, and that thread begun. False with a Python error set. With
  /// the GIL.
  bool watch(std::shared_ptr<DepartureNotice> notice);
  /// Their clients have departed. Any thread.
  void add(std::vector<Call> calls);
  /// Waits for what is to be called. False: the end. Without the GIL.
  bool next(std::vector<Call>& due);
  /// Nothing more comes. Any thread.
  void close();

 private:
  void look_for_clients(std::unique_lock<std::mutex>& lock);

  const std::function<bool()> begin_thread_;
  bool begun_ = false;  // with the GIL
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Call> due_;
  std::vector<std::shared_ptr<DepartureNotice>> watched_;
  SteadyTime looked_at_;
  bool closed_ = false;
};

}  // namespace prowingen::wsgi
