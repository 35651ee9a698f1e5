#include "core/memory_watch.h"

namespace prowingen {

void MemoryWatch::note_shortage(Time now) {
  if (!context_.memory->note_shortage(now)) return;
  context_.report(Severity::warning, describe_shortage(*context_.memory));
}

MemoryWatch::Task MemoryWatch::tick(Time now) {
  MemoryBudget& memory = *context_.memory;
  if (!memory.full()) {
    if (full_since_ != Time()) memory.note_costliest(number_, 0, now);
    full_since_ = Time();
    if (const auto cut = memory.note_relief(now)) {
      context_.report(Severity::warning, describe_relief(memory, *cut));
    }
    return Task::none;
  }
  note_shortage(now);
  if (full_since_ == Time()) full_since_ = now;
  return memory.urgent() || full_for_long(now) ? Task::cut : Task::look;
}

}  // namespace prowingen
