// What proxygen's sessions note of how far their bytes have been written.
#pragma once

#include "engine_proxygen/compat.h"

namespace prowingen::proxygen_engine {

/// The ends of answers: a transaction, and its handler, last until the end is with the kernel.
/// proxygen's own tracker makes two more events of each answer, which nobody here listens to.
class LastByteEvents final : public px::ByteEventTracker {
 public:
  LastByteEvents() : ByteEventTracker(nullptr) {}  // the session it is given to says who is called

  void addFirstHeaderByteEvent(std::uint64_t, px::HTTPTransaction*,
                               px::ByteEvent::Callback) override {}
  void addFirstBodyByteEvent(std::uint64_t, px::HTTPTransaction*,
                             px::ByteEvent::Callback) override {}
};

}  // namespace prowingen::proxygen_engine
