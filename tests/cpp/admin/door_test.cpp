#include "admin/door.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace prowingen::admin {
namespace {

std::pair<UniqueFd, UniqueFd> make_door() {
  std::array<int, 2> ends{};
#if defined(__linux__)
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()), 0);
#else
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
#endif
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd take(int inside) {
  char byte{};
  iovec content{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  EXPECT_EQ(::recvmsg(inside, &message, MSG_DONTWAIT), 1);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return {};
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  return UniqueFd(descriptor);
}

TEST(Door, ConnectsToWhoTakesWhatComesThroughIt) {
  auto [inside, outside] = make_door();
  const Door door(std::move(outside));
  EXPECT_TRUE(door.is_there());
  auto mine = door.connect();
  ASSERT_TRUE(mine);
  UniqueFd theirs = take(inside.get());
  ASSERT_TRUE(theirs);
  EXPECT_EQ(::send(mine->get(), "ask", 3, 0), 3);
  std::array<char, 8> heard{};
  EXPECT_EQ(::recv(theirs.get(), heard.data(), heard.size(), MSG_DONTWAIT), 3);
  mine->reset();
  EXPECT_EQ(::recv(theirs.get(), heard.data(), heard.size(), MSG_DONTWAIT), 0)
      << "no copy of its own end is left here";
}

TEST(Door, IsNotWaitedAt) {
  auto [inside, outside] = make_door();
  const Door door(std::move(outside));
  std::vector<UniqueFd> waiting;
  while (auto connection = door.connect()) waiting.push_back(std::move(*connection));
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_GT(waiting.size(), 8U);
}

TEST(Door, OfOneWhoIsGoneTakesNobody) {
  auto [inside, outside] = make_door();
  const Door door(std::move(outside));
  inside.reset();
  EXPECT_FALSE(door.connect());
}

TEST(Door, MayNotBeThere) { EXPECT_FALSE(Door(UniqueFd()).is_there()); }

}  // namespace
}  // namespace prowingen::admin
