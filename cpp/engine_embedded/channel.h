// A connection's socket, and the TLS on it if there is any. I/O thread only.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "engine_embedded/socket_ops.h"
#include "engine_embedded/tls_stream.h"

namespace prowingen::embedded {

class Channel {
 public:
  /// `tls`: null for none; its handshake is done.
  explicit Channel(ConnectionSocket socket, std::unique_ptr<TlsStream> tls = nullptr)
      : socket_(std::move(socket)), tls_(std::move(tls)) {}

  int socket() const { return socket_.get(); }
  /// What TLS has agreed on, or nothing.
  std::string_view protocol() const { return tls_ ? tls_->protocol() : std::string_view(); }

  /// Takes at most so many bytes off the socket, and gives up to a record of TLS more.
  Transfer receive(std::span<char> buffer, std::size_t most) {
    if (tls_) return tls_->receive(buffer, most);
    const auto transfer = embedded::receive(socket(), buffer.first(std::min(most, buffer.size())));
    received_ += transfer.bytes;
    return transfer;
  }
  /// Bytes that the socket has given in all, of TLS those of records that are not whole, too.
  std::uint64_t received() const { return tls_ ? tls_->received() : received_; }
  /// Whether receive() has its end or a failure to tell, though the socket may have nothing to
  /// read. A plain connection's are the socket's.
  bool at_end() const { return tls_ && tls_->at_end(); }
  Transfer send_vector(std::span<iovec> pieces, bool more) {
    return tls_ ? tls_->send_vector(pieces) : embedded::send_vector(socket(), pieces, more);
  }
  Transfer send_file(int file, std::uint64_t offset, std::uint64_t length) {
    return tls_ ? tls_->send_file(file, offset, length)
                : embedded::send_file(socket(), file, offset, length);
  }

  /// Whether nothing that was sent is held back here. flush() tries again.
  bool flushed() const { return !tls_ || tls_->flushed(); }
  std::size_t held() const { return tls_ ? tls_->held() : 0; }
  Transfer::Status flush() { return tls_ ? tls_->flush() : Transfer::Status::ok; }

  /// Tells the peer that no more comes, in a way that TLS keeps anybody else from saying. With a
  /// socket that is full it has not been told before flushed().
  void finish() {
    if (auto tls = std::exchange(finished_, true) ? nullptr : tls_.get()) tls->finish();
  }
  void shut_down_writing() {
    finish();
    ::shutdown(socket(), SHUT_WR);
  }
  void close() {
    finish();
    socket_.end();
  }
  /// Ends it so that the peer cannot take what it has for the whole.
  void reset() { socket_.reset(); }

 private:
  ConnectionSocket socket_;
  std::unique_ptr<TlsStream> tls_;
  std::uint64_t received_ = 0;
  bool finished_ = false;
};

}  // namespace prowingen::embedded
