#include "limits/rate_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <system_error>

namespace prowingen::limits {
namespace {

constexpr std::uint64_t nobody = 0;

HashKey random_key() {
  std::random_device device;
  const auto word = [&] { return std::uint64_t{device()} << 32U | device(); };
  return {word(), word()};
}

}  // namespace

RateTable::RateTable(std::size_t places) : key_(random_key()), places_(places) {
  // Pages of zeros, which are entries of nobody; those never used cost nothing.
  void* memory = ::mmap(nullptr, places_ * sizeof(Place), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "shared memory for rate limits");
  }
  table_ = static_cast<Place*>(memory);
}

RateTable::~RateTable() { ::munmap(table_, places_ * sizeof(Place)); }

std::uint64_t RateTable::name_of(std::span<const std::uint8_t> octets) const {
  return name_of(keyed_hash(key_, octets));
}

std::uint64_t RateTable::name_of(std::uint64_t hash) { return std::max(hash, nobody + 1); }

RateTable::Entry* RateTable::find(Place& place, std::uint64_t name, Nanoseconds now) {
  for (;;) {
    for (Entry& entry : place.entries) {
      if (entry.name.load() == name) return &entry;
    }
    Entry* const free = std::ranges::find_if(
        place.entries, [&](const Entry& entry) { return entry.full_at.load() <= now; });
    if (free == std::end(place.entries)) return nullptr;
    std::uint64_t last = free->name.load();
    // Whoever was quicker may have been this client's.
    if (free->full_at.load() > now || !free->name.compare_exchange_strong(last, name)) continue;
    // Its last client may have come back just before that: this one does not pay for it.
    if (free->full_at.load() > now) free->full_at.store(now);
    return free;
  }
}

RateTable::Answer RateTable::ask(std::uint64_t name, const Rate& rate, Nanoseconds now) {
  Place& place = table_[name & (places_ - 1)];
  for (;;) {
    Entry* const entry = find(place, name, now);
    if (entry == nullptr) return {Outcome::no_room};
    Nanoseconds full_at = entry->full_at.load();
    RateVerdict verdict = judge(rate, full_at, now);
    while (verdict.admitted && !entry->full_at.compare_exchange_weak(full_at, verdict.full_at)) {
      verdict = judge(rate, full_at, now);
    }
    if (entry->name.load() == name) {
      return {verdict.admitted ? Outcome::admitted : Outcome::refused, verdict.wait};
    }
    // Between two of these steps its bucket was full, and another client took the entry over: that
    // one is given back what it was charged, and this one begins anew.
    if (verdict.admitted) entry->full_at.fetch_sub(rate.interval);
  }
}

}  // namespace prowingen::limits
