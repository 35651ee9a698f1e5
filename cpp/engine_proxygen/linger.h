// The end of a connection whose client may still be sending.
//
// Data that is unread when a socket is closed makes the kernel send a reset, which can overtake
// the last answer (RFC 9112 section 9.6). So the sending side is shut down first, and what comes in
// is thrown away until the client has closed its side too or has had time enough.
#pragma once

#include <cstdint>

#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// I/O thread only. Belongs to the session's codec.
class Linger final : private folly::EventBase::LoopCallback, private LoopTimer {
 public:
  /// Begins when this many bytes of the session, all there will be, are with the kernel.
  void begin_after(px::HTTPSessionBase& session, std::uint64_t bytes);
  /// The same, but for its end: what the client sends is wanted.
  void half_close_after(px::HTTPSessionBase& session, std::uint64_t bytes);
  /// The client has closed its side, or sends too much. False: the answer is not out yet.
  bool end();

 private:
  void runLoopCallback() noexcept override;
  void timeoutExpired() noexcept override;
  void await(px::HTTPSessionBase& session, std::uint64_t bytes);
  void shut_down_sending();
  void drop();

  px::HTTPSessionBase* session_ = nullptr;
  std::uint64_t bytes_ = 0;
  bool shut_ = false;
  bool ends_ = false;  // once it is shut
  bool lingering_ = false;
  bool ending_ = false;
};

}  // namespace prowingen::proxygen_engine
