#include "core/forks.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace prowingen {
namespace {

using Word = std::uint64_t;
constexpr std::size_t word_bits = 64;
// As many descriptors as Linux gives a process unless told otherwise (fs.nr_open). Of those beyond,
// children have copies.
constexpr std::size_t max_descriptors = 1024 * 1024;

// A child finds them as they were at the fork, whatever another thread was doing, without a lock or
// an allocation. Memory is used for the pages that are touched.
std::array<std::atomic<Word>, max_descriptors / word_bits> kept;
std::atomic<std::size_t> words_used{0};

std::atomic<Word>* word_of(int descriptor) {
  const auto place = static_cast<std::size_t>(descriptor);
  return descriptor < 0 || place >= max_descriptors ? nullptr : &kept[place / word_bits];
}

Word bit_of(int descriptor) {
  return Word{1} << (static_cast<std::size_t>(descriptor) % word_bits);
}

void begin_generation() {
  fork_generation.fetch_add(1, std::memory_order_relaxed);
  const auto used = words_used.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < used; ++i) {
    for (Word left = kept[i].exchange(0, std::memory_order_relaxed); left != 0; left &= left - 1) {
      ::close(static_cast<int>(i * word_bits) + std::countr_zero(left));
    }
  }
}

}  // namespace

void keep_from_children(int descriptor) {
  [[maybe_unused]] static const int told = ::pthread_atfork(nullptr, nullptr, begin_generation);
  auto* const word = word_of(descriptor);
  if (word == nullptr) return;
  const std::size_t needed = static_cast<std::size_t>(descriptor) / word_bits + 1;
  auto used = words_used.load(std::memory_order_relaxed);
  while (used < needed && !words_used.compare_exchange_weak(used, needed)) {
  }
  word->fetch_or(bit_of(descriptor), std::memory_order_relaxed);
}

void leave_to_children(int descriptor) {
  if (auto* const word = word_of(descriptor)) {
    word->fetch_and(~bit_of(descriptor), std::memory_order_relaxed);
  }
}

}  // namespace prowingen
