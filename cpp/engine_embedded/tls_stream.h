// The server's side of one TLS connection over a non-blocking socket.
//
//   bytes of HTTP <--> SSL <--> ciphertext <--> socket
//
// OpenSSL never touches the socket once the handshake is done. Reading takes what the socket has in
// one system call and decrypts all of it, so that nothing readable is hidden from the event loop.
// Writing encrypts many records for one system call; ciphertext that the socket does not take is
// kept, so that a write is never asked for again.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine_embedded/socket_ops.h"
#include "tls/context.h"
#include "tls/served.h"

namespace prowingen::embedded {

/// Buffers that all connections of a thread use in turn.
struct TlsBuffers {
  // What is decrypted at once fits into a reader's 64 KiB, with the part of a record (16 KiB and
  // a little, RFC 8446 section 5.2) that had come before.
  std::array<char, 46 * 1024> received;
  std::array<char, 64 * 1024> plain;
  std::string encrypted;
};

/// I/O thread only.
class TlsStream {
 public:
  enum class Handshake : std::uint8_t {
    done,
    wants_read,
    wants_write,
    failed,  // see fault()
    closed   // by the client, in the middle
  };

  TlsStream(const tls::Context& context, int socket, TlsBuffers& buffers);

  /// Goes on with it. Reads no byte that follows it.
  Handshake handshake();
  const std::string& fault() const { return fault_; }
  std::shared_ptr<const TlsFacts> facts() const { return tls::facts_of(*ssl_); }
  /// What was agreed on (ALPN), or nothing.
  std::string_view protocol() const { return tls::protocol_of(*ssl_); }
  /// Whether it was an authority's, which has seen what it wants: see tls::was_answered().
  bool was_answered() const { return tls::was_answered(*ssl_); }

  /// After the handshake. `buffer`: 64 KiB at least. `most`: bytes to take off the socket; none may
  /// come of them, though there is more to be read.
  Transfer receive(std::span<char> buffer, std::size_t most = SIZE_MAX);
  /// Bytes that the socket has given receive() in all.
  std::uint64_t received() const { return received_; }
  /// Whether receive() gives no more bytes: the client has said so (close_notify), or something
  /// went wrong. Either may come together with the last bytes, and then nothing follows that would
  /// make the socket readable.
  bool at_end() const { return at_end_ || broken_; }
  Transfer send_vector(std::span<iovec> pieces);
  Transfer send_file(int file, std::uint64_t offset, std::uint64_t length);
  /// Whether the socket has taken all that was written. flush() tries again.
  bool flushed() const { return unsent_.empty(); }
  /// Bytes of memory for what waits for the socket.
  std::size_t held() const { return unsent_.capacity(); }
  Transfer::Status flush();
  /// Says that no more is written (close_notify), so that what came before is known to be whole.
  void finish();

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  static BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* into, int size);
  static int bio_write(BIO* bio, const char* from, int size);
  static long bio_control(BIO* bio, int command, long, void*);

  bool encrypt(std::string_view plain);
  Transfer::Status send_encrypted();
  void give_capacity_back();

  const int socket_;
  TlsBuffers& buffers_;
  std::unique_ptr<SSL, Free> ssl_;
  bool established_ = false;
  bool broken_ = false;  // OpenSSL wants no further call
  bool at_end_ = false;
  std::string_view input_;  // received and not decrypted; of the handshake, nothing is
  std::uint64_t received_ = 0;
  std::string unsent_;
  std::string fault_;
};

}  // namespace prowingen::embedded
