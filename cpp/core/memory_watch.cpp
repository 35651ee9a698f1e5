#include "core/memory_watch.h"

namespace prowingen {

void MemoryWatch::note_shortage(Time now) {
  if (!context_.memory->note_shortage(now)) return;
  context_.report(Severity::warning, describe_shortage(*context_.memory));
}

bool MemoryWatch::tick(Time now) {
  MemoryBudget& memory = *context_.memory;
  if (!memory.full()) {
    full_since_ = Time();
    if (const auto cut = memory.note_relief(now)) {
      context_.report(Severity::warning, describe_relief(memory, *cut));
    }
    return false;
  }
  note_shortage(now);
  if (full_since_ == Time()) full_since_ = now;
  return now - full_since_ >= MemoryBudget::patience;
}

}  // namespace prowingen
