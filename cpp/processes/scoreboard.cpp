#include "processes/scoreboard.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace prowingen {

Scoreboard::Scoreboard(std::size_t slots) : activity_(slots), size_(slots) {
  // Pages of zeros, which are what atomics of zero look like; those never used cost nothing.
  void* memory = ::mmap(nullptr, sizeof(Header) + size_ * sizeof(Slot), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "shared memory for the scoreboard");
  }
  header_ = static_cast<Header*>(memory);
  slots_ = static_cast<Slot*>(static_cast<void*>(header_ + 1));
}

Scoreboard::~Scoreboard() { ::munmap(header_, sizeof(Header) + size_ * sizeof(Slot)); }

Scoreboard::Slot& Scoreboard::slot(std::size_t index) {
  if (index >= size_) throw std::out_of_range("the scoreboard has no such slot");
  return slots_[index];
}

void Scoreboard::clear(std::size_t index) {
  Slot& cleared = slot(index);
  for (std::size_t i = 0; i < score_names.size(); ++i) cleared.set(static_cast<Score>(i), 0);
  activity_.clear(index);
  // The supervisor alone calls this.
  header_->used.store(std::max(used(), index + 1), std::memory_order_relaxed);
}

}  // namespace prowingen
