#include "admin/door.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace prowingen::admin {
namespace {

bool send_descriptor(int door, int descriptor) {
  char byte = '\n';
  iovec content{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptor)> room{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  while (::sendmsg(door, &message, send_flags) < 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

Door::Door(UniqueFd descriptor) : descriptor_(std::move(descriptor)), kept_(descriptor_.get()) {}

std::optional<UniqueFd> Door::connect() const {
  std::array<int, 2> ends{};
#if defined(SOCK_CLOEXEC)
  constexpr int type = SOCK_STREAM | SOCK_CLOEXEC;
#else
  constexpr int type = SOCK_STREAM;
#endif
  if (::socketpair(AF_UNIX, type, 0, ends.data()) != 0) return std::nullopt;
  UniqueFd mine(ends[0]);
  const UniqueFd theirs(ends[1]);
  if (!send_descriptor(descriptor_.get(), theirs.get())) return std::nullopt;
  return mine;
}

}  // namespace prowingen::admin
