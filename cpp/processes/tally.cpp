#include "processes/tally.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace prowingen {
namespace {

std::atomic<std::size_t> io_threads{0};

// Those of one process have different ones; of several servers in it, too.
std::size_t number_of_io_thread() {
  static thread_local const std::size_t number = io_threads.fetch_add(1, std::memory_order_relaxed);
  return number;
}

}  // namespace

void Tally::Stripe::add(const cells::Histogram& histogram, std::chrono::nanoseconds value) {
  // Clocks of several threads may disagree by a little.
  const auto elapsed = std::max(value, std::chrono::nanoseconds(0));
  std::size_t bucket = 0;  // most fall into the first ones
  while (bucket < histogram.bounds.size() && elapsed > histogram.bounds[bucket]) ++bucket;
  add(histogram.first + bucket);
  add(histogram.sum(), static_cast<std::uint64_t>(elapsed.count()));
}

Tally::Tally() {
  // Pages of zeros, which are what atomics of zero look like; those never used cost nothing.
  void* memory = ::mmap(nullptr, sizeof(Header) + stripes * sizeof(Stripe), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "shared memory for counters");
  }
  header_ = static_cast<Header*>(memory);
  stripes_ = static_cast<Stripe*>(static_cast<void*>(header_ + 1));
}

Tally::~Tally() { ::munmap(header_, sizeof(Header) + stripes * sizeof(Stripe)); }

Tally::Stripe& Tally::stripe(std::size_t number) {
  const std::size_t index = number % stripes;
  const std::uint64_t bit = std::uint64_t{1} << index;
  if ((header_->used.load(std::memory_order_relaxed) & bit) == 0) {
    header_->used.fetch_or(bit, std::memory_order_relaxed);
  }
  return stripes_[index];
}

Tally::Stripe& Tally::of_io_thread() { return stripe(process_ + number_of_io_thread()); }

Tally::Sum Tally::sum() const {
  Sum sum{};
  const std::uint64_t used = header_->used.load(std::memory_order_relaxed);
  for (std::size_t index = 0; index < stripes; ++index) {
    if ((used >> index & 1) == 0) continue;
    for (std::size_t cell = 0; cell < cells::count; ++cell) sum[cell] += stripes_[index].get(cell);
  }
  return sum;
}

void Carrier::carry_locked(const Figures& figures) {
  auto& stripe = tally_.of_workers();
  for (std::size_t i = 0; i < figures.size(); ++i) {
    if (figures[i] <= before_[i]) continue;
    stripe.add(cells::carried_at + i, figures[i] - before_[i]);
    before_[i] = figures[i];
  }
}

}  // namespace prowingen
