// Memory that was freed goes back to the system when there is little to do.
//
// An allocator keeps what is freed for the next time: after a rush a process stays as large as it
// was at its height, for days if need be. To give memory back costs milliseconds, and the next rush
// page faults, so it is done in a second in which hardly anything was asked, and only if what is
// resident but in nobody's use has grown considerably since the last time.
//
// Whoever holds this asks about once a second, off the I/O threads and without the GIL.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "processes/process_memory.h"

namespace prowingen {

class IdleMemory {
 public:
  static constexpr std::chrono::milliseconds interval{1000};
  /// Requests in that time which still count as hardly any.
  static constexpr std::uint64_t few_requests = 10;
  /// More than this must have become free, or it is not worth it.
  static constexpr std::int64_t worthwhile = 32LL * 1024 * 1024;

  /// Whether memory should be given back now. `requests`: served so far. `memory` is asked only
  /// while hardly any are: an allocator stops everybody while it counts.
  bool due(std::uint64_t requests, const std::function<ProcessMemory()>& memory);
  /// It was: what is left is what cannot be had.
  void given_back(const ProcessMemory& memory) { unused_ = memory.unused(); }

 private:
  std::uint64_t requests_ = 0;
  // The least that was seen since memory was given back. A rush may come before the first look, so
  // at the start none is taken to be there: at worst memory is given back once for nothing.
  std::int64_t unused_ = 0;
};

}  // namespace prowingen
