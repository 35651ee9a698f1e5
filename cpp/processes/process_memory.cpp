#include "processes/process_memory.h"

#if defined(__linux__)
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

#include "core/chunk.h"
#elif defined(__APPLE__)
#include <mach/mach.h>
#include <malloc/malloc.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>

#include <cstdlib>
// In a condition of its own: elsewhere this macro is not there, and no && would make up for that.
#if __GLIBC_PREREQ(2, 33)
#define PROWINGEN_HAS_MALLINFO2
#endif
#endif

namespace prowingen {

#if defined(__linux__)

std::uint64_t resident_bytes() {
  // `size resident shared ...` in pages: proc_pid_statm(5).
  const UniqueFd file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};
  const auto size = file ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size <= 0) return 0;
  const std::string_view line(text.data(), static_cast<std::size_t>(size));
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  std::uint64_t pages = 0;
  std::from_chars(line.data() + space + 1, line.data() + line.size(), pages);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

#elif defined(__APPLE__)

std::uint64_t resident_bytes() {
  mach_task_basic_info info{};
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  const auto result = task_info(mach_task_self(), MACH_TASK_BASIC_INFO,
                                reinterpret_cast<task_info_t>(&info), &count);
  return result == KERN_SUCCESS ? info.resident_size : 0;
}

#else

std::uint64_t resident_bytes() { return 0; }

#endif

ProcessMemory process_memory() {
  ProcessMemory memory{resident_bytes(), 0};
#if defined(PROWINGEN_HAS_MALLINFO2)
  const auto figures = ::mallinfo2();
  memory.allocated = figures.uordblks + figures.hblkhd;
#endif
  return memory;
}

void keep_freed_memory() {
#if defined(__GLIBC__)
  // It would come to such values by itself once something as large was freed, and not before.
  constexpr int mapped_alone = 4 * 1024 * 1024;
  constexpr int kept_at_the_top = 16 * 1024 * 1024;
  for (const char* told : {"GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}) {
    if (std::getenv(told) != nullptr) return;
  }
  ::mallopt(M_MMAP_THRESHOLD, mapped_alone);
  ::mallopt(M_TRIM_THRESHOLD, kept_at_the_top);
#endif
}

void give_memory_back() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#elif defined(__APPLE__)
  ::malloc_zone_pressure_relief(nullptr, 0);
#endif
}

}  // namespace prowingen
