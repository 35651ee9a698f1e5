// Which socket gets a datagram, of those that share a port.
#include "processes/datagram_steering.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/chunk.h"

#if defined(__linux__)

namespace prowingen::datagrams {
namespace {

using Id = std::array<std::uint8_t, 8>;

Id server_id(std::uint16_t first, std::uint8_t thread) {
  const std::uint32_t host = id_of(first);
  return {0xc5,
          static_cast<std::uint8_t>(host >> 24),
          static_cast<std::uint8_t>(host >> 16),
          static_cast<std::uint8_t>(host >> 8),
          static_cast<std::uint8_t>(host),
          thread,
          0xab,
          0xcd};
}

std::string short_header(const Id& id) {
  return std::string(1, '\x43') + std::string(id.begin(), id.end()) + "payload";
}

std::string long_header(const Id& id) {
  return std::string("\xc3\x00\x00\x00\x01\x08", 6) + std::string(id.begin(), id.end()) + "payload";
}

class SteeringTest : public ::testing::Test {
 protected:
  SteeringTest() {
    for (int i = 0; i < 6; ++i) sockets.push_back(bound());
  }

  UniqueFd bound() {
    UniqueFd made(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    const int on = 1;
    EXPECT_EQ(::setsockopt(made.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    EXPECT_EQ(::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(made.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return made;
  }

  /// Sends it from a port of its own; the number of the socket that got it.
  std::optional<std::size_t> given_to(const std::string& datagram) {
    const UniqueFd client(::socket(AF_INET, SOCK_DGRAM, 0));
    EXPECT_EQ(::sendto(client.get(), datagram.data(), datagram.size(), 0,
                       reinterpret_cast<const sockaddr*>(&address), sizeof address),
              static_cast<ssize_t>(datagram.size()));
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      char byte;
      if (::recv(sockets[i].get(), &byte, 1, 0) > 0) return i;
    }
    return std::nullopt;
  }

  sockaddr_in address = [] {
    sockaddr_in loopback{};
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return loopback;
  }();
  std::vector<UniqueFd> sockets;
};

TEST_F(SteeringTest, AConnectionsDatagramsGoToItsSocketWhereverTheyComeFrom) {
  steer(sockets[0].get(), std::array<std::uint16_t, 1>{5});
  for (std::uint16_t first = 0; first < 5; ++first) {
    EXPECT_EQ(given_to(short_header(server_id(first, 0))), first);
    EXPECT_EQ(given_to(long_header(server_id(first, 1))), first + 1);
  }
}

TEST_F(SteeringTest, NewOnesGoToThoseThatTakeThemAndAlwaysToTheSame) {
  steer(sockets[0].get(), std::array<std::uint16_t, 3>{1, 2, 4});
  std::set<std::size_t> taken;
  for (std::uint8_t i = 0; i < 30; ++i) {
    const Id id{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, i};
    const auto first = given_to(long_header(id));
    EXPECT_EQ(given_to(long_header(id)), first);
    taken.insert(first.value_or(99));
  }
  EXPECT_EQ(taken, (std::set<std::size_t>{1, 2, 4}));
}

TEST_F(SteeringTest, ItCanBeChangedAtAnyTime) {
  const auto begins = long_header({1, 2, 3, 4, 5, 6, 7, 8});
  for (const std::uint16_t only : {3, 0, 5}) {
    steer(sockets[1].get(), std::array<std::uint16_t, 1>{only});
    EXPECT_EQ(given_to(begins), only);
  }
}

TEST_F(SteeringTest, AnIdOfAServerBeforeIsOneOfNobody) {
  steer(sockets[0].get(), std::array<std::uint16_t, 1>{2});
  EXPECT_TRUE(given_to(short_header(server_id(500, 3))).has_value());
}

TEST_F(SteeringTest, WhatIsTooShortIsTakenBySomebody) {
  steer(sockets[0].get(), std::array<std::uint16_t, 1>{2});
  for (std::size_t size = 1; size < 14; ++size) {
    EXPECT_TRUE(given_to(long_header(server_id(3, 0)).substr(0, size)).has_value());
    EXPECT_TRUE(given_to(short_header(server_id(3, 0)).substr(0, size)).has_value());
  }
}

TEST_F(SteeringTest, AsManyAsOneWillTakeNewOnes) {
  std::vector<std::uint16_t> many(5000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::uint16_t>(i % 6);
  EXPECT_NO_THROW(steer(sockets[0].get(), many));
}

}  // namespace
}  // namespace prowingen::datagrams

#endif
