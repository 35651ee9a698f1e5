#include "static_files/cache.h"

#include <sys/resource.h>

#include <algorithm>

namespace prowingen::static_files {

Cache::Bounds Cache::Bounds::of_process() {
  Bounds bounds;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    bounds.descriptors = std::min<std::size_t>(bounds.descriptors, limit.rlim_cur / 8);
  }
  return bounds;
}

Cache::Known Cache::known_at(std::string_view path, Time now) {
  const std::lock_guard lock(mutex_);
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return {};
  const auto entry = found->second;
  if (entry != entries_.begin()) entries_.splice(entries_.begin(), entries_, entry);
  return {entry->loaded, now - entry->looked_at < bounds_.believed};
}

void Cache::keep(std::string_view path, const Loaded& loaded, Time now) {
  std::list<Entry> gone;  // what is closed and freed is so without the lock
  const std::lock_guard lock(mutex_);
  if (const auto found = by_path_.find(path); found != by_path_.end()) {
    const auto entry = found->second;
    by_path_.erase(found);
    account(*entry, false);
    gone.splice(gone.begin(), entries_, entry);
  }
  entries_.push_front({std::string(path), loaded, now});
  by_path_.emplace(entries_.front().path, entries_.begin());
  account(entries_.front(), true);
  while (too_much()) {
    const auto last = std::prev(entries_.end());
    by_path_.erase(last->path);
    account(*last, false);
    gone.splice(gone.begin(), entries_, last);
  }
}

void Cache::account(const Entry& entry, bool added) {
  const auto& file = entry.loaded.file;
  const auto memory = entry.path.size() + (file ? file->memory() : 0);
  const auto descriptors = file ? file->descriptors() : 0;
  memory_ = added ? memory_ + memory : memory_ - memory;
  descriptors_ = added ? descriptors_ + descriptors : descriptors_ - descriptors;
}

// One stays, however large.
bool Cache::too_much() const {
  return entries_.size() > 1 && (entries_.size() > bounds_.entries || memory_ > bounds_.memory ||
                                 descriptors_ > bounds_.descriptors);
}

}  // namespace prowingen::static_files
