// A thread that pushes a server's figures to statsd, in one of its processes at a time: see
// processes/push_ledger.h. It takes no GIL, and waits for nobody who listens.
//
//   each interval:   figures now - figures pushed  -> lines -> the ledger's journal -> datagrams
//
// What cannot be sent now stays in the journal and is tried again, and what is counted meanwhile
// goes with the push after that. So a daemon that is restarted, or reads too slowly, misses nothing
// of what is counted, as far as its socket tells: UDP's does so seldom.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "core/engine.h"
#include "metrics/families.h"
#include "processes/push_ledger.h"
#include "statsd/channel.h"
#include "statsd/rules.h"

namespace prowingen::statsd {

class Pusher {
 public:
  using Clock = std::chrono::steady_clock;
  using Look = std::function<metrics::Picture()>;
  using Report = std::function<void(Severity, std::string)>;
  /// Of what goes wrong there is at most one line in this time.
  static constexpr std::chrono::seconds tells_every{60};

  /// `look`: the server's figures now; any thread. `ledger` is of all of its processes.
  Pusher(PushLedger& ledger, Rules rules, Look look, Report report);
  ~Pusher() { stop(); }
  Pusher(const Pusher&) = delete;
  Pusher& operator=(const Pusher&) = delete;

  /// This process has counted its last: pushes what nobody else is going to, and ends.
  void stop();

 private:
  void run();
  Clock::time_point round(Clock::time_point now);
  bool push(Clock::time_point now);
  bool send_journal();
  void finish();
  void failed(Clock::time_point now);
  void lost(std::size_t datagrams);

  PushLedger& ledger_;
  const Rules rules_;
  const std::chrono::nanoseconds looks_every_;
  const Look look_;
  const Report report_;
  Channel channel_;
  Clock::time_point begun_;
  std::uint64_t failures_ = 0;  // in a row
  std::uint64_t lost_ = 0;      // datagrams that were not told yet
  Clock::time_point told_;
  std::mutex mutex_;  // guards stopped_
  std::condition_variable stopping_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace prowingen::statsd
