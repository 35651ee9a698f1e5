#include "core/memory_budget.h"

#include <algorithm>

namespace prowingen {
namespace {

// A shortage is over when there was none for so long: one that comes and goes is said once.
constexpr std::chrono::seconds relief_time{5};

// Some ticks of an I/O thread: one that has not looked for so long may be stuck.
constexpr std::chrono::milliseconds news_time{600};

std::string in_mib(std::uint64_t bytes) {
  constexpr std::uint64_t kib = 1024;
  const bool whole = bytes >= kib * kib;
  return std::to_string(whole ? bytes / kib / kib : bytes / kib) + (whole ? " MiB" : " KiB");
}

}  // namespace

std::uint64_t MemoryBudget::excess() const {
  const auto target = limit_ / 8 * 7;
  const auto now = used();
  return now > target ? now - target : 0;
}

std::size_t MemoryBudget::answer_room(std::size_t wanted) const {
  const auto share = limit_ / 4 * 3;
  const auto now = used();
  const auto room = now < share ? (share - now) / 8 : 0;
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(wanted, std::max<std::uint64_t>(room, answer_floor)));
}

unsigned MemoryBudget::add_watch() {
  return watches_.fetch_add(1) % static_cast<unsigned>(costliest_.size());
}

void MemoryBudget::note_costliest(unsigned watch, double cost, Time now) {
  costliest_[watch].cost.store(cost, std::memory_order_relaxed);
  costliest_[watch].noted_at.store(now.time_since_epoch().count(), std::memory_order_release);
}

std::optional<double> MemoryBudget::costliest_of_others(unsigned watch, Time now) const {
  double highest = 0;
  const unsigned watches = std::min<unsigned>(watches_, static_cast<unsigned>(costliest_.size()));
  for (unsigned other = 0; other < watches; ++other) {
    if (other == watch) continue;
    const Time noted_at{Time::duration(costliest_[other].noted_at.load(std::memory_order_acquire))};
    if (now - noted_at > news_time) return std::nullopt;
    highest = std::max(highest, costliest_[other].cost.load(std::memory_order_relaxed));
  }
  return highest;
}

bool MemoryBudget::note_shortage(Time now) {
  last_short_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  if (short_.load(std::memory_order_relaxed) || short_.exchange(true)) return false;
  shortages_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

std::optional<std::uint64_t> MemoryBudget::note_relief(Time now) {
  if (!short_.load(std::memory_order_relaxed)) return std::nullopt;
  const Time last{Time::duration(last_short_.load(std::memory_order_relaxed))};
  if (full() || now - last < relief_time || !short_.exchange(false)) return std::nullopt;
  const auto cut = cut_.load(std::memory_order_relaxed);
  return cut - cut_before_.exchange(cut, std::memory_order_relaxed);
}

MemoryBudget::Counters MemoryBudget::counters() const {
  return {shortages_.load(std::memory_order_relaxed), cut_.load(std::memory_order_relaxed)};
}

void MemoryCharge::move_to(std::uint64_t steps) {
  // Unsigned arithmetic: a difference below zero wraps around and takes away.
  if (budget_ != nullptr) {
    budget_->used_.fetch_add((steps - steps_) * step, std::memory_order_relaxed);
  }
  steps_ = steps;
}

bool BodyShare::grow_to(std::uint64_t bytes) {
  if (bytes <= bytes_) return true;
  if (budget_ == nullptr || !budget_->roomy()) return false;
  const auto more = bytes - bytes_;
  const auto most = std::min(MemoryBudget::body_share, budget_->limit() / 8);
  if (budget_->body_shares_.fetch_add(more, std::memory_order_relaxed) + more > most) {
    budget_->body_shares_.fetch_sub(more, std::memory_order_relaxed);
    return false;
  }
  bytes_ = bytes;
  return true;
}

void BodyShare::release() {
  if (bytes_ == 0) return;
  budget_->body_shares_.fetch_sub(std::exchange(bytes_, 0), std::memory_order_relaxed);
}

std::string describe_shortage(const MemoryBudget& budget) {
  return "memory_budget is full: unfinished requests and unread answers hold " +
         in_mib(budget.used()) + " of " + in_mib(budget.limit()) +
         "; the greediest are read no further, and the greediest and slowest are cut";
}

std::string describe_relief(const MemoryBudget& budget, std::uint64_t cut) {
  return "memory_budget has room again: " + in_mib(budget.used()) + " of " +
         in_mib(budget.limit()) +
         " are held; requests and answers that were cut meanwhile: " + std::to_string(cut);
}

}  // namespace prowingen
