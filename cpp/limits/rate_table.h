// When each client's bucket is full again, in memory that all processes of a server share.
//
// It is a table of a fixed size. A client may be found in one of the eight entries of the place
// that its hash says; one whose bucket is full is as good as none, and its entry is the next
// client's. So nothing is ever cleared, and nothing is locked: an entry is two words, of which one
// names its client, and each is changed by compare-and-swap. If all eight are in use the request is
// let through, and counted: a table that is too small must turn nobody away.
//
// The hash is keyed by random bytes, made with the table: nobody can choose addresses that crowd
// out another's.
//
// The memory is anonymous and inherited by fork(2), as the scoreboard's is.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "limits/keyed_hash.h"
#include "limits/rate.h"

namespace prowingen::limits {

class RateTable {
 public:
  static constexpr std::size_t default_places = 8192;  // 64 Ki entries, 1 MiB

  /// `places`: a power of two. Throws std::system_error if there is no memory.
  explicit RateTable(std::size_t places = default_places);
  ~RateTable();
  RateTable(const RateTable&) = delete;
  RateTable& operator=(const RateTable&) = delete;

  /// What a client is called here, as its octets are.
  std::uint64_t name_of(std::span<const std::uint8_t> octets) const;
  /// The same of what is a hash already.
  static std::uint64_t name_of(std::uint64_t hash);

  enum class Outcome : std::uint8_t { admitted, refused, no_room };
  struct Answer {
    Outcome outcome;
    Nanoseconds wait = 0;  // until one is admitted
  };
  /// A client asks for one request. Any thread of any process.
  Answer ask(std::uint64_t name, const Rate& rate, Nanoseconds now);

 private:
  static constexpr std::size_t entries_of_place = 8;
  struct Entry {
    std::atomic<std::uint64_t> name;
    std::atomic<Nanoseconds> full_at;
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "it is shared by processes");
  struct alignas(128) Place {  // two cache lines
    Entry entries[entries_of_place];
  };

  /// The client's entry, perhaps taken over just now; null: there is no room.
  static Entry* find(Place& place, std::uint64_t name, Nanoseconds now);

  const HashKey key_;
  const std::size_t places_;
  Place* table_;
};

}  // namespace prowingen::limits
