// What the processes of a server are doing, in memory that they share, for whoever looks at one of
// them: the requests that their worker threads are in, and the slowest ones of the last minute.
//
//   process 1: sample, ten times a second --write--> rows 1 .
//   process 2: sample, ten times a second --write--> rows 2  > --read()--> whoever is asked
//   process 1, 2: an exchange that took long --note_slow--> '
//
// Rows are written while somebody watches, which a mark says that ends by itself, so that a watcher
// that dies leaves nothing behind. A request pays nothing for them. Of its own slowness it pays for
// a comparison: only what is slower than the least slow one that is kept takes a lock, which is the
// process's own. No process ever waits for another, however that ended: readers take what is whole,
// and leave the rest out.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/worker_state.h"

namespace prowingen {

class Activity {
 public:
  /// Of the monotonic clock, which all processes share.
  using Time = std::chrono::steady_clock::time_point;

  struct Row {
    WorkerState state = WorkerState::running;
    std::uint64_t thread = 0;  // its name
    Time since;
    std::optional<Time> deadline;  // none: it may take as long as it takes
    std::string request;           // its line, cut to `line_size`
    std::string client;            // its address, cut to `client_size`; empty: it has none
    bool operator==(const Row&) const = default;
  };

  /// A request that is over.
  struct Slow {
    Time ended;
    std::uint64_t worker = 0;  // its process
    std::chrono::nanoseconds took{0};
    std::chrono::nanoseconds queued{0};
    int status = 0;  // 0: there was no answer
    bool complete = false;
    std::string request;
    bool operator==(const Slow&) const = default;
  };

  static constexpr std::size_t line_size = 192;
  static constexpr std::size_t client_size = 64;
  static constexpr std::size_t rows_of_process = 64;
  static constexpr std::size_t slow_of_process = 16;
  static constexpr std::chrono::seconds slow_for{60};
  /// Rows that are older are of a process that has ended, or of an earlier watch.
  static constexpr std::chrono::seconds row_lasts{1};
  static constexpr std::chrono::seconds watch_lasts{1};

  /// For so many processes. Throws std::system_error if there is no memory.
  explicit Activity(std::size_t processes);
  ~Activity();
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;

  // ---- of all
  /// Somebody looks at it, now and for `watch_lasts`. Any thread.
  void watch(Time now);
  bool is_watched(Time now) const;
  /// What the process in that slot does; nothing if it has not said so lately. Any thread.
  std::vector<Row> rows(std::size_t slot, Time now) const;
  /// Whether it has said so since then. Any thread.
  bool is_written_since(std::size_t slot, Time when) const;
  /// Of the processes in so many slots, the slowest requests first, `slow_of_process` of them at
  /// most. Any thread.
  std::vector<Slow> slowest(std::size_t slots, Time now) const;
  /// Of a process that has ended, before the next one takes its slot: what it did is forgotten, and
  /// what was slow is not. The supervisor.
  void clear(std::size_t slot);

  // ---- of this process
  /// It has that slot: 0 without being told. Before anything is written, and before any thread is
  /// begun. What was slow with the last one there is kept as if it were its own.
  void set_process(std::size_t slot);
  /// The first `rows_of_process` of them. Any thread.
  void write(std::span<const Row> rows, Time now);
  /// Whether note_slow() would keep a request that took so long, and ends now. Any thread.
  bool is_slow(std::chrono::nanoseconds took, Time now) const {
    return took.count() > floor_.load(std::memory_order_relaxed) ||
           count_of(now) > floor_until_.load(std::memory_order_relaxed);
  }
  void note_slow(const Slow& slow);

 private:
  using Word = std::atomic<std::uint64_t>;
  using Words = std::span<Word>;
  static_assert(Word::is_always_lock_free, "it is shared by processes");

  // A record that a reader sees as a whole or not at all: its version is odd while it is written,
  // and another one afterwards. The release and acquire of each word order what is around it.
  template <std::size_t Fields, std::size_t TextSize>
  struct Record {
    Word version;
    // Then the text's size, then the text.
    std::array<Word, Fields + 1 + TextSize / sizeof(std::uint64_t)> words;
  };
  using RowRecord = Record<5, line_size + client_size>;  // the last: the size of its client
  using SlowRecord = Record<6, line_size>;

  struct alignas(128) Process {
    Word written_at;  // its rows
    Word rows;        // so many
    std::array<RowRecord, rows_of_process> row;
    std::array<SlowRecord, slow_of_process> slow;
  };

  struct alignas(128) Header {
    Word watched_until;
  };

  static std::int64_t count_of(Time time) {
    return std::chrono::nanoseconds(time.time_since_epoch()).count();
  }
  template <std::size_t Fields, std::size_t TextSize>
  static void put(Record<Fields, TextSize>& record, const std::array<std::uint64_t, Fields>& fields,
                  std::string_view text);
  template <std::size_t Fields, std::size_t TextSize>
  static bool get(const Record<Fields, TextSize>& record, std::array<std::uint64_t, Fields>& fields,
                  std::string& text);

  std::size_t processes_;
  Header* header_;
  Process* process_;
  std::size_t own_ = 0;

  // ---- of this process alone
  struct Kept {
    std::int64_t took = -1;  // -1: none
    std::int64_t ended = 0;
  };
  std::mutex rows_mutex_;  // who writes rows
  std::mutex slow_mutex_;  // guards kept_, and who writes slow ones
  std::array<Kept, slow_of_process> kept_{};
  // Below it nothing is kept, until one that is expires.
  std::atomic<std::int64_t> floor_{-1};
  std::atomic<std::int64_t> floor_until_{0};
};

}  // namespace prowingen
