// What was found lately at paths, so that a file that is asked for often is not opened each time.
//
// For a second it is believed; then it is looked at again, and kept if it is as it was. What has
// not been asked for for longest goes first where there is too much of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "static_files/file.h"

namespace prowingen::static_files {

/// Of all I/O threads.
class Cache {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Bounds {
    std::size_t entries = 8192;  // those that say that there is nothing, too
    std::uint64_t memory = 32 * 1024 * 1024;
    std::size_t descriptors = 256;
    std::chrono::milliseconds believed{1000};

    /// Of the descriptors that this process may have, those that are kept leave most to clients.
    static Bounds of_process();
  };

  explicit Cache(const Bounds& bounds)
      : bounds_(bounds), held_(std::make_shared<HeldContent>(bounds.memory)) {}

  /// What counts the content of files that are loaded for it.
  const std::shared_ptr<HeldContent>& held() const { return held_; }

  /// What is at a path, as known or by `load(before)`, which runs without the lock. That there are
  /// no descriptors is not remembered.
  template <typename Load>
  Loaded find(std::string_view path, Time now, Load load) {
    Known known = known_at(path, now);
    if (known.is_believed) return std::move(known.loaded);
    const auto begun = std::chrono::steady_clock::now();
    Loaded loaded = load(known.loaded.file);
    if (lacks_descriptors(loaded.error)) return loaded;  // that says nothing of the file
    // Where it takes long, it must not be out of date already.
    keep(path, loaded, now + (std::chrono::steady_clock::now() - begun));
    return loaded;
  }

 private:
  struct Entry {
    std::string path;
    Loaded loaded;
    Time looked_at;
  };
  struct Known {
    Loaded loaded;
    bool is_believed = false;
  };

  Known known_at(std::string_view path, Time now);
  void keep(std::string_view path, const Loaded& loaded, Time now);
  void account(const Entry& entry, bool added);
  bool too_much() const;

  const Bounds bounds_;
  const std::shared_ptr<HeldContent> held_;
  std::mutex mutex_;          // guards all below
  std::list<Entry> entries_;  // who was asked for last is first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_path_;
  std::uint64_t memory_ = 0;
  std::size_t descriptors_ = 0;
};

}  // namespace prowingen::static_files
