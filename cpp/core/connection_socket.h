// Owns the socket of a connection, and ends the connection with it.
//
// close(2) alone does not: as long as a child process has a copy of the descriptor, as it may for a
// moment after each fork, the kernel tells the client nothing.
#pragma once

#include <utility>

namespace prowingen {

/// Ends a connection: its client reads the end of what was sent, or a reset if it sends on.
void end_connection(int socket);
/// Resets it, for a client that must not take what it has for the whole; the socket is yet to be
/// closed.
void reset_connection(int socket);

class ConnectionSocket {
 public:
  ConnectionSocket() = default;
  explicit ConnectionSocket(int socket);
  ConnectionSocket(ConnectionSocket&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ConnectionSocket& operator=(ConnectionSocket&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~ConnectionSocket() { end(); }

  int get() const { return socket_; }
  explicit operator bool() const { return socket_ >= 0; }
  void end();
  void reset();
  /// Gives the socket away, which children get again.
  int release();

 private:
  int socket_ = -1;
};

}  // namespace prowingen
