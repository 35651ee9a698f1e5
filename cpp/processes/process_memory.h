// How much memory this process has in use.
#pragma once

#include <cstdint>

namespace prowingen {

/// Resident set size in bytes, shared pages included; 0 where the system does not tell.
std::uint64_t resident_bytes();

}  // namespace prowingen
