#include "core/forks.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <utility>

#include "core/chunk.h"
#include "core/connection_socket.h"

namespace prowingen {
namespace {

bool is_open(int descriptor) { return ::fcntl(descriptor, F_GETFD) != -1; }

/// What `look` finds in a child.
bool in_child(const std::function<bool()>& look) {
  const auto child = ::fork();
  if (child == 0) ::_exit(look() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(child, ::waitpid(child, &status, 0));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

UniqueFd any_descriptor(int at_least = 0) {
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return UniqueFd(::fcntl(file.get(), F_DUPFD_CLOEXEC, at_least));
}

struct Connection {
  Connection() {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    EXPECT_EQ(0, ::bind(listener.get(), any, size));
    EXPECT_EQ(0, ::listen(listener.get(), 1));
    EXPECT_EQ(0, ::getsockname(listener.get(), any, &size));
    client = UniqueFd(::socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(0, ::connect(client.get(), any, size));
    server = ConnectionSocket(::accept(listener.get(), nullptr, nullptr));
    copy = UniqueFd(::dup(server.get()));
  }
  UniqueFd client;
  ConnectionSocket server;
  UniqueFd copy;  // as a child has it
};

TEST(Forks, AChildHasNoDescriptorThatIsKeptFromIt) {
  const UniqueFd shared = any_descriptor();
  const UniqueFd low = any_descriptor();
  const UniqueFd high = any_descriptor(200);
  const KeptFromChildren kept_low(low.get());
  const KeptFromChildren kept_high(high.get());
  EXPECT_TRUE(in_child(
      [&] { return is_open(shared.get()) && !is_open(low.get()) && !is_open(high.get()); }));
  EXPECT_TRUE(is_open(low.get()));
  EXPECT_TRUE(is_open(high.get()));
}

TEST(Forks, ANumberThatIsLeftToChildrenIsTheirs) {
  const UniqueFd descriptor = any_descriptor();
  KeptFromChildren(descriptor.get()).end();
  EXPECT_TRUE(in_child([&] { return is_open(descriptor.get()); }));
}

TEST(Forks, AChildsChildKeepsWhatTheChildOpenedUnderTheSameNumber) {
  const UniqueFd descriptor = any_descriptor();
  const KeptFromChildren kept(descriptor.get());
  EXPECT_TRUE(in_child([&] {
    const UniqueFd own = any_descriptor(descriptor.get());
    return own.get() == descriptor.get() && in_child([&] { return is_open(own.get()); });
  }));
}

TEST(Forks, DescriptorsOutsideTheTableAreNobodysConcern) {
  const KeptFromChildren none(-1);
  const KeptFromChildren beyond(1 << 30);
  EXPECT_TRUE(in_child([] { return true; }));
}

TEST(Forks, AnObjectIsTheParentsInAChildAndOneMadeThereIsItsOwn) {
  const KeptFromChildren any(-1);  // sees to the handlers
  const Birthplace here;
  EXPECT_FALSE(here.is_parent());
  EXPECT_TRUE(in_child([&] { return here.is_parent() && !Birthplace().is_parent(); }));
  EXPECT_FALSE(here.is_parent());
}

TEST(ConnectionSocket, EndsAConnectionThoughSomebodyHasACopy) {
  Connection connection;
  connection.server.end();
  char byte;
  EXPECT_EQ(0, ::recv(connection.client.get(), &byte, 1, 0));
}

#if defined(__linux__)
TEST(ConnectionSocket, ResetsAConnectionThoughSomebodyHasACopy) {
  Connection connection;
  connection.server.reset();
  char byte;
  EXPECT_EQ(-1, ::recv(connection.client.get(), &byte, 1, 0));
  EXPECT_EQ(ECONNRESET, errno);
}
#endif

TEST(ConnectionSocket, IsKeptFromChildrenUntilItIsGivenAway) {
  Connection connection;
  const int number = connection.server.get();
  EXPECT_TRUE(in_child([&] { return !is_open(number); }));
  const UniqueFd owned(connection.server.release());
  EXPECT_TRUE(in_child([&] { return is_open(number); }));
}

}  // namespace
}  // namespace prowingen
