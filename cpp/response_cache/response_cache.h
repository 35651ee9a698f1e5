// The answers of applications that they let be kept, and given again without them: a shared cache
// (RFC 9111) in front of one process's workers, and in its memory.
//
//   worker --Recording--> ResponseCache (Store) <--find-- CachedAnswers (I/O threads)
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/exchange.h"
#include "response_cache/recording.h"
#include "response_cache/store.h"

namespace prowingen::response_cache {

/// Any thread.
class ResponseCache {
 public:
  struct Rules {
    std::uint64_t memory = 0;
    std::uint64_t longest_answer = 0;  // its fields included
    bool dates = true;                 // answers are sent with a Date
  };
  struct Counters : Store::Counters {
    std::uint64_t hits = 0;
    std::uint64_t stale_hits = 0;  // of these, those that were being asked for anew
    std::uint64_t misses = 0;      // requests that could have been answered
  };
  using EntryPointer = Store::EntryPointer;

  explicit ResponseCache(const Rules& rules) : rules_(rules), store_(rules.memory) {}

  /// What the request is to be answered with; null: the application is to be asked.
  EntryPointer find(const Exchange& exchange, SteadyTime now);

  /// An answer's head is settled, and about to be sent: if it tells of a change, what was kept is
  /// forgotten. Null: it is not to be kept itself.
  std::unique_ptr<Recording> begin(Exchange& exchange);
  /// All of it was added. Before the client has the end of it, so that it finds it.
  void keep(Recording& recording, const Exchange& exchange);

  /// It was asked for anew, and there is no other in its place.
  void remove(const Entry& entry) { store_.remove(entry); }
  Counters counters() const;

 private:
  const Rules rules_;
  Store store_;
  std::atomic<std::uint64_t> hits_{0};
  std::atomic<std::uint64_t> stale_hits_{0};
  std::atomic<std::uint64_t> misses_{0};
};

}  // namespace prowingen::response_cache
