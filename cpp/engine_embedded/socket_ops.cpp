#include "engine_embedded/socket_ops.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/sendfile.h>
#else
#include <sys/types.h>
#include <sys/uio.h>
#endif

#include <algorithm>

#include "core/signals.h"

namespace prowingen::embedded {
namespace {

using Status = Transfer::Status;

#if defined(MSG_NOSIGNAL)
constexpr int no_signal = MSG_NOSIGNAL;
#else
constexpr int no_signal = 0;  // SO_NOSIGPIPE is set on the socket instead
#endif

#if defined(MSG_MORE)
constexpr int more_follows = MSG_MORE;
#else
constexpr int more_follows = 0;
#endif

// One call's worth of a file: lets other connections of the thread have their turn.
constexpr std::uint64_t file_slice = 1024 * 1024;

Transfer outcome(ssize_t result) {
  if (result >= 0) return {Status::ok, static_cast<std::size_t>(result)};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {Status::would_block};
  return {Status::failed};
}

}  // namespace

Transfer receive(int socket, std::span<char> buffer) {
  ssize_t result;
  do {
    result = ::recv(socket, buffer.data(), buffer.size(), 0);
  } while (result < 0 && errno == EINTR);
  return result == 0 ? Transfer{Status::end_of_stream} : outcome(result);
}

Transfer send_vector(int socket, std::span<iovec> pieces, bool more) {
  const int flags = no_signal | (more ? more_follows : 0);
  if (pieces.size() == 1) {  // send(2) is measurably cheaper than sendmsg(2)
    return outcome(::send(socket, pieces[0].iov_base, pieces[0].iov_len, flags));
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(pieces.size());
  return outcome(::sendmsg(socket, &message, flags));
}

Transfer send_file(int socket, int file, std::uint64_t offset, std::uint64_t length) {
  const auto size = static_cast<std::size_t>(std::min(length, file_slice));
#if defined(__linux__)
  auto at = static_cast<off_t>(offset);
  TakenBackPipeSignal signal;
  const auto result = ::sendfile(socket, file, &at, size);
  if (result == static_cast<ssize_t>(size)) signal.note_success();
  if (result == 0) return {Status::end_of_stream};
  return outcome(result);
#elif defined(__APPLE__)
  auto sent = static_cast<off_t>(size);
  const int result = ::sendfile(file, socket, static_cast<off_t>(offset), &sent, nullptr, 0);
  if (sent > 0) return {Status::ok, static_cast<std::size_t>(sent)};
  if (result == 0) return {Status::end_of_stream};
  return outcome(result);
#else
  char buffer[65536];
  const auto got = ::pread(file, buffer, std::min(size, sizeof buffer), static_cast<off_t>(offset));
  if (got == 0) return {Status::end_of_stream};
  if (got < 0) return outcome(got);
  return outcome(::send(socket, buffer, static_cast<std::size_t>(got), no_signal));
#endif
}

void prepare_listener(int listener) {
  ::fcntl(listener, F_SETFL, ::fcntl(listener, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  // Inherited by what is accepted. Fails on a Unix socket, which has no such delay.
  ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Accepted accept_connection(int listener) {
  Accepted accepted;
  socklen_t size = sizeof accepted.peer;
  auto* address = reinterpret_cast<sockaddr*>(&accepted.peer);
#if defined(__linux__)
  accepted.socket =
      ConnectionSocket(::accept4(listener, address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!accepted.socket) accepted.error = errno;
#else
  accepted.socket = ConnectionSocket(::accept(listener, address, &size));
  if (!accepted.socket) {
    accepted.error = errno;
    return accepted;
  }
  const int socket = accepted.socket.get();
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
#if defined(SO_NOSIGPIPE)
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
#endif
  return accepted;
}

}  // namespace prowingen::embedded
