// A worker's end of the door to whoever answers the control socket: see control/door.py, which has
// the other one.
#pragma once

#include <sys/socket.h>

#include <optional>

#include "core/chunk.h"
#include "core/forks.h"

namespace prowingen::admin {

/// Of a socket that nobody waits for.
#if defined(MSG_NOSIGNAL)
inline constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
inline constexpr int send_flags = MSG_DONTWAIT;
#endif

class Door {
 public:
  /// Without a descriptor it is none.
  explicit Door(UniqueFd descriptor);

  bool is_there() const { return static_cast<bool>(descriptor_); }
  /// A connection to whoever answers; nothing: it takes none now, and errno says why. Any thread;
  /// never blocks.
  std::optional<UniqueFd> connect() const;

 private:
  const UniqueFd descriptor_;
  const KeptFromChildren kept_;
};

}  // namespace prowingen::admin
