// The access log: I/O threads append rendered lines, one writer thread delivers them.
//
//   I/O threads --write()--> pending --swap--> batch --deliver()--> LogSink
//                  (mutex, one memcpy)    (writer thread, no lock held)
//
// An I/O thread never waits for a disk, a pipe or a Python callable: it renders into a buffer of
// its own, and holds the lock for one copy. The writer wakes when `wake_threshold` bytes have
// gathered, or `max_delay` after the first. Memory is bounded: when `buffer_limit` bytes are
// pending because the sink is slow, further lines are dropped, counted and reported.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "access_log/format.h"
#include "core/log_sink.h"

namespace prowingen {

/// Appends to a file, created if it is missing. Throws std::system_error.
std::shared_ptr<LogSink> log_to_file(std::string path);
std::shared_ptr<LogSink> log_to_stdout();

struct AccessLogLimits {
  std::size_t buffer_limit = std::size_t{16} << 20;  // pending; as much again can be in delivery
  std::size_t wake_threshold = std::size_t{64} << 10;
  std::chrono::milliseconds max_delay{100};
  std::chrono::milliseconds report_interval{60'000};  // at most one report of losses in this time
  std::chrono::milliseconds grace{5'000};  // how long a stop or a flush waits for a slow reader
};

/// Starts a thread, so it is made after the last fork.
class AccessLog {
 public:
  /// Told of lines lost and why. Called by the writer thread; must not block or throw.
  using Report = std::function<void(std::string)>;

  AccessLog(AccessLogFormat format, std::shared_ptr<LogSink> sink, Report report,
            AccessLogLimits limits = {});
  /// Delivers everything written, then closes the sink. No write() may be under way.
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// Logs one exchange. Any thread; never waits for the sink, allocates nothing once warm.
  void write(const AccessRecord& record);

  /// For rotation: when it returns true, earlier lines are in the old file and later ones go to
  /// the new one. False: a slow reader outlasted `grace`, and it will be done later. Any thread
  /// but an I/O thread or the taker of a LogChannel, without the GIL.
  bool reopen() { return order(true); }
  /// True: everything written before has been delivered or counted as lost. As reopen().
  bool flush() { return order(false); }

  /// Lines lost so far, to a full buffer or a sink that failed. Any thread.
  std::uint64_t lines_lost() const;

 private:
  //              first line                 threshold or max_delay
  //   idle ----------------------> gathering ----------------------> delivering
  //    ^                               ^                                 |
  //    `-- nothing pending ------------+-------- lines pending ----------'
  //
  // An order or a stop leads straight on. Kept so that write() knows when to notify: at the first
  // line of an idle writer and at the threshold of a gathering one, once in a batch each.
  enum class Writer : std::uint8_t { idle, gathering, delivering };

  struct Losses {
    std::uint64_t dropped = 0;  // the buffer was full
    std::uint64_t failed = 0;   // the sink did not take them
    friend bool operator==(const Losses&, const Losses&) = default;
  };

  bool order(bool reopen);
  void run();
  bool called() const { return stopping_ || orders_given_ != orders_done_; }
  void await_work(std::unique_lock<std::mutex>& lock);
  void deliver(std::string_view batch);
  void reopen_sink();
  void lose(std::string_view lines, std::string why);
  void report_losses(bool now);

  const AccessLogFormat format_;
  const std::shared_ptr<LogSink> sink_;
  const Report report_;
  const AccessLogLimits limits_;

  mutable std::mutex mutex_;  // guards this group
  std::condition_variable wake_;
  std::condition_variable order_done_;
  std::string pending_;
  Writer writer_state_ = Writer::idle;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point give_up_;  // valid once stopping_
  bool reopen_wanted_ = false;
  std::uint64_t orders_given_ = 0;
  std::uint64_t orders_done_ = 0;
  Losses losses_;

  // Writer thread only.
  bool torn_line_ = false;  // what was delivered last is a part of a line
  Losses reported_;
  std::string failure_;
  std::chrono::steady_clock::time_point next_report_;

  std::thread writer_;  // last: it uses all of the above
};

}  // namespace prowingen
