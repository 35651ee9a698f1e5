#include "proxies/proxy_reader.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace prowingen {
namespace {

ssize_t receive(int socket, char* buffer, std::size_t size, int flags) {
  ssize_t result;
  do {
    result = ::recv(socket, buffer, size, flags);
  } while (result < 0 && errno == EINTR);
  return result;
}

}  // namespace

ProxyHeaderReader::Outcome ProxyHeaderReader::malformed(std::string_view fault) {
  fault_ = fault;
  return Outcome::malformed;
}

// What has come is looked at and then taken as far as it belongs to the header, which is all of it
// while the header is not complete. To leave it in the socket until then would have a poller report
// it again and again.
ProxyHeaderReader::Outcome ProxyHeaderReader::read(int socket) {
  std::array<char, 4096> buffer;
  for (;;) {
    const auto seen = receive(socket, buffer.data(), buffer.size(), MSG_PEEK);
    if (seen < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Outcome::need_more;
    if (seen <= 0) {
      return begun_.empty() ? Outcome::closed : malformed("it is cut off");
    }
    const auto before = begun_.size();
    begun_.append(buffer.data(), static_cast<std::size_t>(seen));
    const auto progress = parse_proxy_header(begun_, header_);
    if (progress.outcome == ProxyHeaderProgress::Outcome::malformed) {
      return malformed(progress.fault);
    }
    const bool complete = progress.outcome == ProxyHeaderProgress::Outcome::complete;
    const auto ours = (complete ? progress.size : begun_.size()) - before;
    // It is there, so this takes it whole.
    if (receive(socket, buffer.data(), ours, 0) != static_cast<ssize_t>(ours)) {
      return malformed("it is cut off");
    }
    if (complete) return Outcome::complete;
  }
}

}  // namespace prowingen
