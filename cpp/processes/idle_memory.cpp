#include "processes/idle_memory.h"

#include <algorithm>
#include <utility>

namespace prowingen {

bool IdleMemory::due(std::uint64_t requests, const std::function<ProcessMemory()>& memory) {
  if (requests - std::exchange(requests_, requests) > few_requests) return false;
  const std::int64_t unused = memory().unused();
  unused_ = std::min(unused_, unused);
  return unused - unused_ > worthwhile;
}

}  // namespace prowingen
