// Which codec is telling its session of a request, while it does: the handler that is made for the
// request takes it from there. One at a time on a thread.
#pragma once

#include <utility>

namespace prowingen::proxygen_engine {

template <typename Codec>
class Announcing {
 public:
  explicit Announcing(Codec* codec) : before_(std::exchange(current_, codec)) {}
  ~Announcing() { current_ = before_; }
  Announcing(const Announcing&) = delete;
  Announcing& operator=(const Announcing&) = delete;

  static Codec* current() { return current_; }

 private:
  static inline thread_local Codec* current_ = nullptr;
  Codec* before_;
};

}  // namespace prowingen::proxygen_engine
