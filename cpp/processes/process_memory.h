// How much memory this process has in use, and how it gives back what it has not.
#pragma once

#include <cstdint>

namespace prowingen {

/// Resident set size in bytes, shared pages included; 0 where the system does not tell.
std::uint64_t resident_bytes();

struct ProcessMemory {
  std::uint64_t resident = 0;   // bytes
  std::uint64_t allocated = 0;  // by malloc(), and not freed; 0 where it does not tell

  /// What is resident and not allocated: free memory, and the program itself. Memory that is
  /// allocated and was never touched makes it less, below zero too.
  std::int64_t unused() const {
    return static_cast<std::int64_t>(resident) - static_cast<std::int64_t>(allocated);
  }
};
ProcessMemory process_memory();

/// Has malloc() keep what is freed, a few MiB of it, for the next time: by itself it may give back
/// the memory of each request body to the system, and get it anew page by page for the next. What
/// it was told in the process's environment goes before.
void keep_freed_memory();

/// Gives the pages that malloc() keeps free back to the system, where it can be told to.
void give_memory_back();

}  // namespace prowingen
