#include "core/scoreboard.h"

#include <sys/mman.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace prowingen {

void Scoreboard::Slot::clear() {
  for (auto& score : scores_) score.store(0, std::memory_order_relaxed);
}

Scoreboard::Scoreboard(std::size_t slots) : size_(slots) {
  // Pages of zeros, which are what atomics of zero look like; those never used cost nothing.
  void* memory = ::mmap(nullptr, size_ * sizeof(Slot), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "shared memory for the scoreboard");
  }
  slots_ = static_cast<Slot*>(memory);
}

Scoreboard::~Scoreboard() { ::munmap(slots_, size_ * sizeof(Slot)); }

Scoreboard::Slot& Scoreboard::slot(std::size_t index) {
  if (index >= size_) throw std::out_of_range("the scoreboard has no such slot");
  return slots_[index];
}

}  // namespace prowingen
