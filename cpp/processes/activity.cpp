#include "processes/activity.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

namespace prowingen {
namespace {

// Between two writes of a record a reader has a tenth of a second, but for slow ones that come in
// a row: of these it may have to look again.
constexpr int most_looks = 8;

std::uint64_t bits(std::int64_t value) { return static_cast<std::uint64_t>(value); }
std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
Activity::Time time_of(std::uint64_t count) {
  return Activity::Time(std::chrono::duration_cast<Activity::Time::duration>(
      std::chrono::nanoseconds(number(count))));
}

}  // namespace

Activity::Activity(std::size_t processes) : processes_(processes) {
  // Pages of zeros, which are what atomics of zero look like; those never used cost nothing.
  void* memory = ::mmap(nullptr, sizeof(Header) + processes_ * sizeof(Process),
                        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "shared memory for what is done");
  }
  header_ = static_cast<Header*>(memory);
  process_ = static_cast<Process*>(static_cast<void*>(header_ + 1));
}

Activity::~Activity() { ::munmap(header_, sizeof(Header) + processes_ * sizeof(Process)); }

// ---------------------------------------------------------------------------- records

template <std::size_t Fields, std::size_t TextSize>
void Activity::put(Record<Fields, TextSize>& record,
                   const std::array<std::uint64_t, Fields>& fields, std::string_view text) {
  text = text.substr(0, TextSize);
  // One that was cut in the middle of a write leaves an odd one behind.
  const auto before = record.version.load(std::memory_order_relaxed) | 1;
  record.version.store(before, std::memory_order_relaxed);
  auto* word = record.words.data();
  for (const auto field : fields) (word++)->store(field, std::memory_order_release);
  (word++)->store(text.size(), std::memory_order_release);
  for (std::size_t at = 0; at < text.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t packed = 0;
    std::memcpy(&packed, text.data() + at, std::min(sizeof packed, text.size() - at));
    (word++)->store(packed, std::memory_order_release);
  }
  record.version.store(before + 1, std::memory_order_release);
}

template <std::size_t Fields, std::size_t TextSize>
bool Activity::get(const Record<Fields, TextSize>& record,
                   std::array<std::uint64_t, Fields>& fields, std::string& text) {
  for (int look = 0; look < most_looks; ++look) {
    const auto before = record.version.load(std::memory_order_acquire);
    if (before == 0) return false;  // nothing was ever written
    if (before % 2 != 0) continue;
    const auto* word = record.words.data();
    for (auto& field : fields) field = (word++)->load(std::memory_order_acquire);
    const auto size = std::min<std::size_t>((word++)->load(std::memory_order_acquire), TextSize);
    text.resize(size);
    for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
      const std::uint64_t packed = (word++)->load(std::memory_order_acquire);
      std::memcpy(text.data() + at, &packed, std::min(sizeof packed, size - at));
    }
    if (record.version.load(std::memory_order_relaxed) == before) return true;
  }
  return false;
}

// ---------------------------------------------------------------------------- what is done

void Activity::watch(Time now) {
  header_->watched_until.store(bits(count_of(now + watch_lasts)), std::memory_order_relaxed);
}

bool Activity::is_watched(Time now) const {
  return count_of(now) < number(header_->watched_until.load(std::memory_order_relaxed));
}

void Activity::write(std::span<const Row> rows, Time now) {
  const std::lock_guard lock(rows_mutex_);
  Process& own = process_[own_];
  const auto count = std::min(rows.size(), rows_of_process);
  for (std::size_t i = 0; i < count; ++i) {
    const Row& row = rows[i];
    const auto client = row.client.substr(0, client_size);
    put(own.row[i],
        std::array<std::uint64_t, 5>{
            bits(static_cast<std::int64_t>(row.state)), row.thread, bits(count_of(row.since)),
            row.deadline ? bits(count_of(*row.deadline)) : 0, client.size()},
        client + row.request.substr(0, line_size));
  }
  own.rows.store(count, std::memory_order_release);
  own.written_at.store(bits(count_of(now)), std::memory_order_release);
}

std::vector<Activity::Row> Activity::rows(std::size_t slot, Time now) const {
  std::vector<Row> found;
  const Process& process = process_[slot];
  const auto written_at = time_of(process.written_at.load(std::memory_order_acquire));
  if (now - written_at > row_lasts) return found;
  const auto count =
      std::min<std::size_t>(process.rows.load(std::memory_order_acquire), rows_of_process);
  for (std::size_t i = 0; i < count; ++i) {
    std::array<std::uint64_t, 5> fields;
    std::string text;
    if (!get(process.row[i], fields, text)) continue;
    Row row;
    row.client = text.substr(0, fields[4]);
    row.request = text.substr(row.client.size());
    row.state = static_cast<WorkerState>(fields[0]);
    row.thread = fields[1];
    row.since = time_of(fields[2]);
    if (fields[3] != 0) row.deadline = time_of(fields[3]);
    found.push_back(std::move(row));
  }
  return found;
}

bool Activity::is_written_since(std::size_t slot, Time when) const {
  return time_of(process_[slot].written_at.load(std::memory_order_acquire)) >= when;
}

void Activity::clear(std::size_t slot) {
  if (slot < processes_) process_[slot].written_at.store(0, std::memory_order_relaxed);
}

// ---------------------------------------------------------------------------- what was slow

void Activity::set_process(std::size_t slot) {
  own_ = slot;
  for (std::size_t i = 0; i < slow_of_process; ++i) {
    std::array<std::uint64_t, 6> fields;
    std::string text;
    if (get(process_[own_].slow[i], fields, text))
      kept_[i] = {number(fields[2]), number(fields[0])};
  }
}

void Activity::note_slow(const Slow& slow) {
  const auto ended = count_of(slow.ended);
  const auto expiry = [](const Kept& kept) {
    return kept.ended + std::chrono::nanoseconds(slow_for).count();
  };
  const std::lock_guard lock(slow_mutex_);
  for (Kept& kept : kept_) {
    if (kept.took >= 0 && ended > expiry(kept)) kept.took = -1;
  }
  const auto least = std::ranges::min_element(kept_, {}, &Kept::took);
  if (slow.took.count() > least->took) {
    *least = {slow.took.count(), ended};
    const auto place = static_cast<std::size_t>(least - kept_.begin());
    put(process_[own_].slow[place],
        std::array<std::uint64_t, 6>{bits(ended), slow.worker, bits(slow.took.count()),
                                     bits(slow.queued.count()), bits(slow.status),
                                     slow.complete ? 1U : 0U},
        slow.request);
  }
  auto floor = std::numeric_limits<std::int64_t>::max();
  auto until = std::numeric_limits<std::int64_t>::max();
  for (const Kept& kept : kept_) {
    floor = std::min(floor, kept.took);
    if (kept.took >= 0) until = std::min(until, expiry(kept));
  }
  floor_.store(floor, std::memory_order_relaxed);
  floor_until_.store(until, std::memory_order_relaxed);
}

std::vector<Activity::Slow> Activity::slowest(std::size_t slots, Time now) const {
  std::vector<Slow> found;
  for (std::size_t slot = 0; slot < std::min(slots, processes_); ++slot) {
    for (const SlowRecord& record : process_[slot].slow) {
      std::array<std::uint64_t, 6> fields;
      Slow slow;
      if (!get(record, fields, slow.request)) continue;
      slow.ended = time_of(fields[0]);
      if (now - slow.ended > slow_for) continue;
      slow.worker = fields[1];
      slow.took = std::chrono::nanoseconds(number(fields[2]));
      slow.queued = std::chrono::nanoseconds(number(fields[3]));
      slow.status = static_cast<int>(fields[4]);
      slow.complete = fields[5] != 0;
      found.push_back(std::move(slow));
    }
  }
  std::ranges::sort(found, std::ranges::greater(), &Slow::took);
  if (found.size() > slow_of_process) found.resize(slow_of_process);
  return found;
}

}  // namespace prowingen
