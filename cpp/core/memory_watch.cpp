#include "core/memory_watch.h"

namespace prowingen {

void MemoryWatch::note_shortage(Time now) {
  if (!memory_.note_shortage(now)) return;
  report_(Severity::warning, describe_shortage(memory_));
}

MemoryWatch::Task MemoryWatch::tick(Time now) {
  if (!memory_.full()) {
    if (full_since_ != Time()) memory_.note_costliest(number_, 0, now);
    full_since_ = Time();
    ticks_without_news_ = 0;
    if (const auto cut = memory_.note_relief(now)) {
      report_(Severity::warning, describe_relief(memory_, *cut));
    }
    return Task::none;
  }
  note_shortage(now);
  if (full_since_ == Time()) full_since_ = now;
  ticks_without_news_ = memory_.costliest_of_others(number_, now) ? 0 : ticks_without_news_ + 1;
  return memory_.urgent() || full_for_long(now) ? Task::cut : Task::look;
}

}  // namespace prowingen
