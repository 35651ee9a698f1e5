// What each process of a server is doing, in memory that they share: written by the process itself
// without Python, read by its supervisor, or by whoever has the memory, without asking it.
//
// The memory is anonymous and inherited by fork(2): it goes with the last process, however that
// ends. Here are figures as they are now; what is counted for good is in the tally.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "processes/activity.h"
#include "processes/push_ledger.h"
#include "processes/tally.h"

namespace prowingen {

/// The figures of one process, in the order of `score_names`. Times are of the monotonic clock,
/// which all processes share.
enum class Score : std::uint8_t {
  pid,
  heartbeat_ns,  // when this was last written
  stalled_ns,    // for how long the workers have been stuck, see WorkQueue::stalled_for()
  rss_bytes,
  requests_taken,
  requests_rejected,
  requests_refused,
  protocol_errors,
  queue_length,
  workers_running,
  connections_accepted,
  connections_open,
  connections_http1,  // of these, by what is spoken
  connections_http2,
  connections_http3,
  accepting,            // 1 while it takes connections
  waiting_ns,           // for so long the oldest request has waited for a worker
  unready,              // 1 while its application says that it is not ready
  workers,              // threads of the pool
  workers_waiting,      // for a client, in a request
  workers_standing_by,  // for the GIL, before one
  workers_away,         // in requests that live long
  workers_stuck,        // in requests that were answered without them
  memory_budget,
  memory_used,
  spooled_bytes,
  websockets_open,
  cache_bytes,
  cache_entries
};

inline constexpr std::array<std::string_view, 29> score_names{
    "pid",
    "heartbeat_ns",
    "stalled_ns",
    "rss_bytes",
    "requests_taken",
    "requests_rejected",
    "requests_refused",
    "protocol_errors",
    "queue_length",
    "workers_running",
    "connections_accepted",
    "connections_open",
    "connections_http1",
    "connections_http2",
    "connections_http3",
    "accepting",
    "waiting_ns",
    "unready",
    "workers",
    "workers_waiting",
    "workers_standing_by",
    "workers_away",
    "workers_stuck",
    "memory_budget",
    "memory_used",
    "spooled_bytes",
    "websockets_open",
    "cache_bytes",
    "cache_entries",
};

class Scoreboard {
 public:
  /// One process's line. A reader may see one figure newer than the next.
  class alignas(128) Slot {
   public:
    void set(Score score, std::uint64_t value) {
      scores_[static_cast<std::size_t>(score)].store(value, std::memory_order_relaxed);
    }
    std::uint64_t get(Score score) const {
      return scores_[static_cast<std::size_t>(score)].load(std::memory_order_relaxed);
    }

   private:
    std::array<std::atomic<std::uint64_t>, score_names.size()> scores_;
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "it is shared by processes");

  /// Throws std::system_error if there is no memory.
  explicit Scoreboard(std::size_t slots);
  ~Scoreboard();
  Scoreboard(const Scoreboard&) = delete;
  Scoreboard& operator=(const Scoreboard&) = delete;

  std::size_t size() const { return size_; }
  /// Slots from here on have never been used.
  std::size_t used() const { return header_->used.load(std::memory_order_relaxed); }
  /// All of them are about to stop: none is ready from now on.
  void begin_drain() { header_->draining.store(1, std::memory_order_relaxed); }
  bool draining() const { return header_->draining.load(std::memory_order_relaxed) != 0; }
  /// An administrator takes all of them out of load balancing, those that start later too, or back.
  void withdraw(bool withdrawn) {
    header_->withdrawn.store(withdrawn ? 1 : 0, std::memory_order_relaxed);
  }
  bool withdrawn() const { return header_->withdrawn.load(std::memory_order_relaxed) != 0; }
  /// So many processes are to serve.
  void set_wanted(std::uint64_t count) { header_->wanted.store(count, std::memory_order_relaxed); }
  std::uint64_t wanted() const { return header_->wanted.load(std::memory_order_relaxed); }
  /// What they have counted, which clear() leaves as it is.
  Tally& tally() { return tally_; }
  /// What they are doing.
  Activity& activity() { return activity_; }
  /// What of that has been pushed to statsd, and by whom.
  PushLedger& pushes() { return pushes_; }
  /// Makes a slot's figures 0, for the next process. Throws std::out_of_range.
  void clear(std::size_t index);
  /// Throws std::out_of_range.
  Slot& slot(std::size_t index);

 private:
  struct alignas(128) Header {
    std::atomic<std::size_t> used;
    std::atomic<std::uint64_t> draining;
    std::atomic<std::uint64_t> withdrawn;
    std::atomic<std::uint64_t> wanted;
  };

  Tally tally_;
  Activity activity_;
  PushLedger pushes_;
  std::size_t size_;
  Header* header_;
  Slot* slots_;
};

}  // namespace prowingen
