#include "engine_embedded/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/copying.h"

namespace prowingen::embedded {
namespace {

using Status = Transfer::Status;

constexpr std::size_t record_size = SSL3_RT_MAX_PLAIN_LENGTH;
// Encrypted for one system call: with half of it an answer of 1 MiB costs a sixth more of the CPU.
constexpr std::size_t batch_size = 128 * 1024;
// What may wait for the socket: what one call encrypts, which is less than two batches with their
// records' heads, and what OpenSSL has to say itself.
constexpr std::size_t unsent_limit = 3 * batch_size;
static_assert(sizeof(TlsBuffers::received) + SSL3_RT_MAX_PACKET_SIZE <= 64 * 1024);

}  // namespace

// ---------------------------------------------------------------------------- what OpenSSL calls

// As long as the handshake lasts it reads the socket itself, and no more than it wants.
int TlsStream::bio_read(BIO* bio, char* into, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const auto room = static_cast<std::size_t>(size);
  if (!self.established_) {
    const auto transfer = embedded::receive(self.socket_, {into, room});
    if (transfer.status == Status::would_block) BIO_set_retry_read(bio);
    if (transfer.status == Status::end_of_stream) return 0;
    return transfer.status == Status::ok ? static_cast<int>(transfer.bytes) : -1;
  }
  if (self.input_.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const auto part = self.input_.substr(0, room);
  std::ranges::copy(part, into);
  self.input_.remove_prefix(part.size());
  return static_cast<int>(part.size());
}

int TlsStream::bio_write(BIO* bio, const char* from, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  try {  // no exception through C
    append_octets(self.buffers_.encrypted, {from, static_cast<std::size_t>(size)});
  } catch (const std::bad_alloc&) {
    return -1;
  }
  return size;
}

long TlsStream::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

BIO_METHOD* TlsStream::bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

// ---------------------------------------------------------------------------- the connection

TlsStream::TlsStream(const tls::Context& context, int socket, TlsBuffers& buffers)
    : socket_(socket), buffers_(buffers), ssl_(SSL_new(context.current().get())) {
  BIO* bio = ssl_ ? BIO_new(bio_method()) : nullptr;
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

TlsStream::Handshake TlsStream::handshake() {
  if (!flushed()) {
    const auto status = flush();
    if (status == Status::failed) return Handshake::closed;
    if (status == Status::would_block) return Handshake::wants_write;
    if (established_) return Handshake::done;
  }
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
  if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
    broken_ = true;
    const bool ended = error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN ||
                       ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    fault_ = tls::last_error();
    send_encrypted();  // the alert that says why
    return ended ? Handshake::closed : Handshake::failed;
  }
  established_ = error == SSL_ERROR_NONE;
  const auto sent = send_encrypted();
  if (sent == Status::failed) return Handshake::closed;
  if (sent == Status::would_block) return Handshake::wants_write;
  return established_ ? Handshake::done : Handshake::wants_read;
}

// ---------------------------------------------------------------------------- reading

Transfer TlsStream::receive(std::span<char> buffer, std::size_t most) {
  if (broken_) return {Status::failed};
  if (at_end_) return {Status::end_of_stream};
  const std::span encrypted(buffers_.received);
  const auto transfer =
      embedded::receive(socket_, encrypted.first(std::min(most, encrypted.size())));
  // A client that closes without close_notify is not told from one that does: HTTP itself says
  // whether a request is whole.
  if (transfer.status != Status::ok) return transfer;
  received_ += transfer.bytes;
  input_ = {buffers_.received.data(), transfer.bytes};
  ERR_clear_error();
  std::size_t total = 0;
  std::size_t taken = 0;
  while (SSL_read_ex(ssl_.get(), buffer.data() + total, buffer.size() - total, &taken) == 1) {
    total += taken;
  }
  const int error = SSL_get_error(ssl_.get(), 0);
  input_ = {};
  at_end_ = error == SSL_ERROR_ZERO_RETURN;
  broken_ = !at_end_ && error != SSL_ERROR_WANT_READ;
  ERR_clear_error();
  // An alert, or the answer to a change of keys.
  if (!buffers_.encrypted.empty() && send_encrypted() == Status::failed) broken_ = true;
  // A client may ask for new keys without end (RFC 8446 section 4.6.3) and read no answer.
  if (unsent_.size() > unsent_limit) broken_ = true;
  if (total != 0) return {Status::ok, total};
  if (at_end_) return {Status::end_of_stream};
  return {broken_ ? Status::failed : Status::would_block};
}

// ---------------------------------------------------------------------------- writing

bool TlsStream::encrypt(std::string_view plain) {
  ERR_clear_error();
  while (!plain.empty()) {
    std::size_t written = 0;
    if (broken_ || SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written) != 1) {
      broken_ = true;
      ERR_clear_error();
      return false;
    }
    plain.remove_prefix(written);
  }
  return true;
}

// What the socket does not take is kept for flush().
Status TlsStream::send_encrypted() {
  auto& encrypted = buffers_.encrypted;
  unsent_.empty() ? unsent_.swap(encrypted) : append_octets(unsent_, encrypted);
  encrypted.clear();
  return flush();
}

Status TlsStream::flush() {
  std::size_t sent = 0;
  Status status = Status::ok;
  while (sent < unsent_.size()) {
    iovec piece{unsent_.data() + sent, unsent_.size() - sent};
    const auto transfer = embedded::send_vector(socket_, {&piece, 1}, false);
    status = transfer.status;
    if (status != Status::ok) break;
    sent += transfer.bytes;
  }
  unsent_.erase(0, sent);
  if (unsent_.empty()) give_capacity_back();
  return status;
}

// A connection that has nothing to send keeps no memory for it: there are thousands of them.
void TlsStream::give_capacity_back() {
  auto& spare = buffers_.encrypted;
  if (spare.empty() && spare.capacity() < unsent_.capacity()) spare.swap(unsent_);
  unsent_ = std::string();
}

Transfer TlsStream::send_vector(std::span<iovec> pieces) {
  if (!flushed()) {
    if (const auto status = flush(); status != Status::ok) return {status};
  }
  std::size_t total = 0;
  while (!pieces.empty() && total < batch_size) {
    const std::string_view first(static_cast<const char*>(pieces.front().iov_base),
                                 pieces.front().iov_len);
    std::string_view plain = first.substr(0, batch_size);
    if (plain.size() == first.size()) pieces = pieces.subspan(1);
    if (plain.size() < record_size && !pieces.empty() && plain.size() == first.size()) {
      // A head and the small body after it are one record.
      auto end = std::ranges::copy(plain, buffers_.plain.begin()).out;
      while (!pieces.empty() &&
             pieces.front().iov_len <=
                 record_size - static_cast<std::size_t>(end - buffers_.plain.begin())) {
        const auto& piece = pieces.front();
        end = std::copy_n(static_cast<const char*>(piece.iov_base), piece.iov_len, end);
        pieces = pieces.subspan(1);
      }
      plain = {buffers_.plain.begin(), end};
    } else if (plain.size() < first.size()) {
      pieces = {};  // the rest of it is for the next call
    }
    if (!encrypt(plain)) return {Status::failed};
    total += plain.size();
  }
  if (send_encrypted() == Status::failed) return {Status::failed};
  return {Status::ok, total};
}

Transfer TlsStream::send_file(int file, std::uint64_t offset, std::uint64_t length) {
  if (!flushed()) {
    if (const auto status = flush(); status != Status::ok) return {status};
  }
  const auto want = std::min<std::uint64_t>(length, buffers_.plain.size());
  ssize_t got;
  do {
    got = ::pread(file, buffers_.plain.data(), want, static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {Status::failed};
  if (got == 0) return {Status::end_of_stream};
  if (!encrypt({buffers_.plain.data(), static_cast<std::size_t>(got)})) return {Status::failed};
  if (send_encrypted() == Status::failed) return {Status::failed};
  return {Status::ok, static_cast<std::size_t>(got)};
}

void TlsStream::finish() {
  if (broken_ || !established_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  send_encrypted();  // as far as it goes: see flushed()
}

}  // namespace prowingen::embedded
