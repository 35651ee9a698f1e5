// What a child that the application forks does not get: the server's sockets, files and objects.
//
// fork(2) copies every descriptor and all memory, but only the thread that called it. A copy of a
// connection keeps its client waiting for the end, one of a listening socket keeps the address in
// use, one of a file that is removed its space, and a lock that another thread held is held for
// ever. So
// - descriptors that are told to keep_from_children() are closed in the child before fork()
//   returns there. Closing is all that is done: epoll sets and the sockets' state are the parent's
//   too, and one epoll_ctl(2) or shutdown(2) would be felt there;
// - each fork begins a generation, by which an object knows whether this is the process that made
//   it. Looking costs one load, and no system call.
// A server that a child starts is of the child's generation, and its own.
#pragma once

#include <atomic>
#include <utility>

namespace prowingen {

/// How many forks lie between this process and the first one with this library.
inline std::atomic<unsigned> fork_generation{0};

/// Whether the object that this is a member of was made by a parent of this process.
class Birthplace {
 public:
  bool is_parent() const { return made_in_ != fork_generation.load(std::memory_order_relaxed); }

 private:
  const unsigned made_in_ = fork_generation.load(std::memory_order_relaxed);
};

/// Has a descriptor closed in children that are forked from now on. Any thread, as below.
void keep_from_children(int descriptor);
/// It is about to be closed here, and its number to mean something else.
void leave_to_children(int descriptor);

/// Keeps a descriptor from children for as long as this lives, which ends before the descriptor.
class KeptFromChildren {
 public:
  explicit KeptFromChildren(int descriptor) : descriptor_(descriptor) {
    keep_from_children(descriptor);
  }
  KeptFromChildren(KeptFromChildren&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  KeptFromChildren& operator=(KeptFromChildren&&) = delete;
  ~KeptFromChildren() { end(); }
  void end() { leave_to_children(std::exchange(descriptor_, -1)); }
  /// In a child, where it is closed and its number may mean something else.
  void forget() { descriptor_ = -1; }

 private:
  int descriptor_;
};

}  // namespace prowingen
