#include "processes/push_ledger.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace prowingen {
namespace {

constexpr unsigned count_bits = 16;
constexpr std::uint64_t count_mask = (std::uint64_t{1} << count_bits) - 1;
constexpr unsigned sum_at = 2 * count_bits;
constexpr unsigned term_at = sum_at + 1;
constexpr std::uint64_t last_term = (std::uint64_t{1} << (64 - term_at)) - 1;

std::uint64_t own_pid() { return static_cast<std::uint64_t>(::getpid()); }

bool exists(std::uint64_t pid) { return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH; }

std::int64_t count_of(PushLedger::Clock::time_point time) {
  return time.time_since_epoch() / std::chrono::nanoseconds(1);
}

}  // namespace

PushLedger::PushLedger() {
  // Zeros are what it begins with; of the journal no page is there before it is used.
  int flags = MAP_SHARED | MAP_ANONYMOUS;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "shared memory for what is pushed");
  }
  shared_ = static_cast<Shared*>(memory);
}

PushLedger::~PushLedger() { ::munmap(shared_, sizeof(Shared)); }

std::uint64_t PushLedger::packed(const State& state) {
  return state.term << term_at | state.sum << sum_at | state.datagrams << count_bits | state.sent;
}

PushLedger::State PushLedger::unpacked(std::uint64_t word) {
  return {word >> term_at, word >> sum_at & 1, word >> count_bits & count_mask, word & count_mask};
}

bool PushLedger::change(State from, State to) {
  std::uint64_t expected = packed(from);
  return shared_->state.compare_exchange_strong(expected, packed(to));
}

bool PushLedger::holds() const {
  return term_ != 0 && state().term == term_ && shared_->holder.load() == own_pid();
}

bool PushLedger::may_be_taken(std::uint64_t holder, Clock::time_point now) const {
  // One of the own number is not this one, which would hold it, but one that has ended.
  if (holder == 0 || holder == own_pid() || !exists(holder)) return true;
  return count_of(now) - shared_->seen.load() > std::chrono::nanoseconds(stale).count();
}

bool PushLedger::take(Clock::time_point now) {
  if (!holds()) {
    term_ = 0;
    std::uint64_t holder = shared_->holder.load();
    if (!may_be_taken(holder, now)) return false;
    if (!shared_->holder.compare_exchange_strong(holder, own_pid())) return false;
    // Whoever else would take it for forgotten, by what its predecessor left, begins a term too.
    shared_->seen.store(count_of(now));
    State before;
    State mine;
    do {
      before = state();
      mine = before;
      mine.term = before.term == last_term ? 1 : before.term + 1;
    } while (!change(before, mine));
    term_ = mine.term;
  }
  shared_->seen.store(count_of(now));
  return true;
}

void PushLedger::give_up() {
  std::uint64_t holder = own_pid();
  if (holds()) shared_->holder.compare_exchange_strong(holder, 0);
  term_ = 0;
}

PushLedger::Clock::time_point PushLedger::last_push() const {
  return Clock::time_point(
      std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(shared_->begun.load())));
}

Tally::Sum PushLedger::pushed() const { return shared_->sums[state().sum]; }

bool PushLedger::unsent() const {
  const State now = state();
  return now.sent != now.datagrams;
}

std::size_t PushLedger::begin_push(const Tally::Sum& sum, std::span<const std::string> datagrams,
                                   Clock::time_point now) {
  const State before = state();
  if (!holds() || before.sent != before.datagrams) return datagrams.size();
  shared_->begun.store(count_of(now));
  std::size_t size = 0;
  std::size_t count = 0;
  for (const auto& datagram : datagrams) {
    if (count == most_datagrams || datagram.size() > journal_size - size) break;
    datagram.copy(shared_->journal.data() + size, datagram.size());
    size += datagram.size();
    shared_->ends[count++] = static_cast<std::uint32_t>(size);
  }
  shared_->sums[before.sum ^ 1] = sum;
  if (!change(before, {term_, before.sum ^ 1, count, 0})) return datagrams.size();
  return datagrams.size() - count;
}

bool PushLedger::send(const Send& send) {
  for (;;) {
    const State before = state();
    if (!holds()) return false;
    if (before.sent == before.datagrams) return true;
    State marked = before;
    ++marked.sent;
    if (!change(before, marked)) return false;
    const std::size_t begin = before.sent == 0 ? 0 : shared_->ends[before.sent - 1];
    const std::size_t end = shared_->ends[before.sent];
    if (send(std::string_view(shared_->journal.data() + begin, end - begin)) != Sent::not_now) {
      continue;
    }
    change(marked, before);
    return false;
  }
}

}  // namespace prowingen
