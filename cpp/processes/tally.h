// What all processes of a server have counted since it began, in memory that they share.
//
//   process 1: I/O threads, workers --add--> stripe 1 .
//   process 2: I/O threads, workers --add--> stripe 2  > --sum()--> whoever is asked
//   process 3, ended              - - - - -> stripe 3 '
//
// Each adds to it as things happen, and nobody ever takes away or clears anything: so no figure
// goes back when a process is replaced, and what one has counted is there however it ended. A
// stripe is nobody's own. It only keeps threads from writing to the same cache lines; when there
// are more threads than stripes, or a process takes the place of another, they share one.
//
// What a process counts elsewhere, for reasons of its own, is carried over ten times a second: see
// Carrier.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>

namespace prowingen {

/// Of requests; `other` is any that RFC 9110 and 5789 do not know.
inline constexpr std::array<std::string_view, 10> counted_methods{
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "other"};

inline constexpr std::array<std::string_view, 4> counted_protocols{"HTTP/1.0", "HTTP/1.1", "HTTP/2",
                                                                   "HTTP/3"};

/// Classes of status codes; `none`: there was no answer.
inline constexpr std::array<std::string_view, 6> counted_statuses{"none", "1xx", "2xx",
                                                                  "3xx",  "4xx", "5xx"};

/// Why an answer was not whole, or there was none.
inline constexpr std::array<std::string_view, 11> counted_causes{
    "aborted",        "client_closed",   "body_timeout", "write_timeout",
    "too_slow",       "memory_shortage", "malformed",    "body_too_large",
    "server_stopped", "request_timeout", "other"};

/// Why a supervisor's worker has ended; the last: how else it should have gone on.
inline constexpr std::array<std::string_view, 8> worker_ends{
    "max_requests", "max_rss",  "max_stuck",       "stuck",
    "overdue",      "replaced", "failed_to_start", "crash"};

/// What a process counts elsewhere.
enum class Carried : std::uint8_t {
  connections_accepted,
  protocol_errors,
  requests_rejected,
  requests_expired,
  requests_shed,
  requests_overdue,
  requests_over_rate,
  memory_shortages,
  memory_cut,
  bodies_spooled,
  websockets_accepted,
  websocket_messages_received,
  websocket_messages_sent,
  static_files_answered,
  cache_hits,
  cache_stale_hits,
  cache_misses,
  cache_stored,
  cache_evicted,
  log_lines_lost,
  application_cpu_ns,
  user_cpu_ns,
  system_cpu_ns,
  tls_handshakes,
  tls_failures
};
inline constexpr std::size_t carried_figures = 25;

/// Where in a stripe which figure is.
namespace cells {

using Bounds = std::span<const std::chrono::nanoseconds>;

/// A cell for each bucket, the last one without a bound, and one for the sum, in nanoseconds.
struct Histogram {
  std::size_t first;
  Bounds bounds;
  constexpr std::size_t sum() const { return first + bounds.size() + 1; }
  constexpr std::size_t end() const { return sum() + 1; }
};

namespace bounds {
using std::chrono::microseconds;
/// Of whole requests.
inline constexpr std::array<std::chrono::nanoseconds, 15> requests{
    microseconds(1'000),      microseconds(2'500),      microseconds(5'000),
    microseconds(10'000),     microseconds(25'000),     microseconds(50'000),
    microseconds(100'000),    microseconds(250'000),    microseconds(500'000),
    microseconds(1'000'000),  microseconds(2'500'000),  microseconds(5'000'000),
    microseconds(10'000'000), microseconds(30'000'000), microseconds(60'000'000)};
/// Of what should take no time.
inline constexpr std::array<std::chrono::nanoseconds, 13> waits{
    microseconds(100),       microseconds(500),       microseconds(1'000),
    microseconds(5'000),     microseconds(10'000),    microseconds(25'000),
    microseconds(50'000),    microseconds(100'000),   microseconds(500'000),
    microseconds(1'000'000), microseconds(5'000'000), microseconds(10'000'000),
    microseconds(60'000'000)};
}  // namespace bounds

inline constexpr int first_status = 100;
inline constexpr int last_status = 599;
inline constexpr std::size_t status_count = last_status - first_status + 1;

constexpr bool is_status(int status) { return status >= first_status && status <= last_status; }

inline constexpr std::size_t requests_at = 0;
constexpr std::size_t request(std::size_t method, std::size_t protocol, std::size_t status) {
  return requests_at + (method * counted_protocols.size() + protocol) * counted_statuses.size() +
         status;
}

inline constexpr Histogram duration{request(counted_methods.size(), 0, 0), bounds::requests};
inline constexpr Histogram application{duration.end(), bounds::requests};
inline constexpr Histogram queue_wait{application.end(), bounds::waits};
inline constexpr Histogram gil_wait{queue_wait.end(), bounds::waits};
inline constexpr std::size_t bytes_received = gil_wait.end();
inline constexpr std::size_t bytes_sent = bytes_received + 1;

inline constexpr std::size_t causes_at = bytes_sent + 1;
inline constexpr std::size_t ends_at = causes_at + counted_causes.size();
inline constexpr std::size_t carried_at = ends_at + worker_ends.size();
constexpr std::size_t carried(Carried figure) {
  return carried_at + static_cast<std::size_t>(figure);
}

/// Exact codes last: few of them are ever used, and pages of the others never touched.
inline constexpr std::size_t responses_at = carried_at + carried_figures;
constexpr std::size_t response(int status) {
  return responses_at + static_cast<std::size_t>(status - first_status);
}
/// Of these, the answers that the engine gave to what it refused.
inline constexpr std::size_t refusals_at = responses_at + status_count;
constexpr std::size_t refusal(int status) {
  return refusals_at + static_cast<std::size_t>(status - first_status);
}
inline constexpr std::size_t count = refusals_at + status_count;

}  // namespace cells

/// The handle is a process's own; what it leads to is shared with all that are forked after it was
/// made, and goes with the last of them.
class Tally {
 public:
  class alignas(128) Stripe {
   public:
    void add(std::size_t cell, std::uint64_t by = 1) {
      cells_[cell].fetch_add(by, std::memory_order_relaxed);
    }
    void add(const cells::Histogram& histogram, std::chrono::nanoseconds value);
    std::uint64_t get(std::size_t cell) const {
      return cells_[cell].load(std::memory_order_relaxed);
    }

   private:
    std::array<std::atomic<std::uint64_t>, cells::count> cells_;
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "it is shared by processes");

  using Sum = std::array<std::uint64_t, cells::count>;

  /// Throws std::system_error if there is no memory.
  Tally();
  ~Tally();
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  /// This process is that one, of all that share it: 0 without being told. Before it counts.
  void set_process(std::size_t number) { process_ = number; }

  /// What an I/O thread counts on.
  Stripe& of_io_thread();
  /// What whoever holds the GIL counts on, and whoever else does so seldom.
  Stripe& of_workers() { return stripe(process_ + stripes / 2); }

  /// All of it, so far. A reader may see one figure newer than the next.
  Sum sum() const;

 private:
  static constexpr std::size_t stripes = 64;

  // Stripes that nobody has used need not be read, nor be there.
  struct alignas(128) Header {
    std::atomic<std::uint64_t> used;  // a bit for each
  };

  Stripe& stripe(std::size_t number);

  Header* header_;
  Stripe* stripes_;
  std::size_t process_ = 0;
};

/// Adds to a tally what a process counts elsewhere, each time as much as has come since the last.
class Carrier {
 public:
  using Figures = std::array<std::uint64_t, carried_figures>;

  explicit Carrier(Tally& tally) : tally_(tally) {}

  /// Any thread. `now`: looks at what they are; they never decrease.
  template <typename Now>
  void carry(Now now) {
    const std::lock_guard lock(mutex_);
    carry_locked(now());
  }

 private:
  void carry_locked(const Figures& figures);

  Tally& tally_;
  std::mutex mutex_;  // guards what follows
  Figures before_{};
};

}  // namespace prowingen
