// Whether a client is still there that nothing is sent to.
#include "core/served_exchange.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "core/chunk.h"
#include "core/engine.h"
#include "core/engine_figures.h"
#include "core/peer_state.h"
#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::chrono_literals;

// Both ends of a TCP connection: only there is an end that may still be read from.
struct Connection {
  Connection() {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* name = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener.get(), name, size), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener.get(), name, &size), 0);
    client = UniqueFd(::socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(::connect(client.get(), name, size), 0);
    server = UniqueFd(::accept(listener.get(), nullptr, nullptr));
  }
  void client_resets() {
    const linger at_once{1, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    client.reset();
  }
  void client_finishes() const { ::shutdown(client.get(), SHUT_WR); }
  void client_sends() const { EXPECT_EQ(::send(client.get(), "unread", 6, 0), 6); }
  void server_sends() const { EXPECT_EQ(::send(server.get(), "answer", 6, MSG_NOSIGNAL), 6); }

  UniqueFd client;
  UniqueFd server;
};

TEST(PeerState, IsToldWhateverWaitsToBeRead) {
  for (const bool unread : {false, true}) {
    Connection connection;
    EXPECT_EQ(peer_state(connection.server.get()), PeerState::present);
    if (unread) connection.client_sends();
    EXPECT_EQ(peer_state(connection.server.get()), PeerState::present);
    connection.client_finishes();
#if defined(__linux__)
    EXPECT_EQ(peer_state(connection.server.get()), PeerState::finished);
#endif
    connection.client_resets();
    EXPECT_EQ(peer_state(connection.server.get()), PeerState::gone);
  }
}

class ClientTest : public testing::Test {
 protected:
  using Client = ServedExchange::Client;

  bool gone(std::chrono::milliseconds after) { return seen(after, false) == Client::gone; }
  Client seen(std::chrono::milliseconds after, bool can_be_asked = true) {
    return exchange->look_at_client(connection.server.get(), SteadyTime(1h) + after, can_be_asked);
  }

  Connection connection;
  NoTransport transport;
  std::shared_ptr<ServedExchange> exchange = std::make_shared<ServedExchange>(transport);
};

TEST_F(ClientTest, IsThereForAsLongAsItKeepsItsSideOpen) {
  EXPECT_FALSE(gone(0ms));
  EXPECT_FALSE(gone(24h));
}

TEST_F(ClientTest, IsGoneAtOnceWithAReset) {
  connection.client_resets();
  EXPECT_TRUE(gone(0ms));
}

TEST_F(ClientTest, ThatHasFinishedIsWaitedForALittle) {
  connection.client_finishes();
  EXPECT_FALSE(gone(0ms));
  EXPECT_FALSE(gone(half_closed_patience - 1ms));
  EXPECT_TRUE(gone(half_closed_patience));
}

TEST_F(ClientTest, IsWaitedForFromItsEndOnIfThatWasSeen) {
  connection.client_finishes();
  exchange->client_finished(SteadyTime(1h));
  EXPECT_TRUE(gone(half_closed_patience));
}

TEST_F(ClientTest, ThatTakesWhatItIsSentIsWaitedForAnew) {
  connection.client_finishes();
  EXPECT_FALSE(gone(0ms));
  exchange->bytes_out += 6;
  EXPECT_FALSE(gone(half_closed_patience));
  EXPECT_FALSE(gone(2 * half_closed_patience - 1ms));
  EXPECT_TRUE(gone(2 * half_closed_patience));
}

TEST_F(ClientTest, ThatHasClosedBothSidesAnswersWithAReset) {
  connection.client.reset();
  EXPECT_FALSE(gone(0ms));
  connection.server_sends();
  exchange->bytes_out += 6;
  EXPECT_TRUE(gone(1ms));
}

TEST_F(ClientTest, ThatCanBeAskedIsNotThoughtGone) {
  connection.client_finishes();
  EXPECT_EQ(seen(0ms), Client::there);
  EXPECT_EQ(seen(half_closed_question - 1ms), Client::there);
  EXPECT_EQ(seen(half_closed_question), Client::asked_for);
  EXPECT_EQ(seen(half_closed_question + half_closed_again - 1ms), Client::there);
  EXPECT_EQ(seen(half_closed_question + half_closed_again), Client::asked_for);
}

TEST_F(ClientTest, ThatHasClosedBothSidesAnswersAQuestionWithAReset) {
  connection.client.reset();
  EXPECT_EQ(seen(0ms), Client::there);
  EXPECT_EQ(seen(half_closed_question), Client::asked_for);
  connection.server_sends();
  EXPECT_EQ(seen(half_closed_question + 1ms), Client::gone);
}

TEST_F(ClientTest, IsAskedBeforeItsAnswerAndOnHttp11Alone) {
  exchange->request.version = {1, 1};
  EXPECT_TRUE(exchange->may_be_sent_interim());
  exchange->head_written = true;
  EXPECT_FALSE(exchange->may_be_sent_interim());
  exchange->head_written = false;
  exchange->request.version = {1, 0};
  EXPECT_FALSE(exchange->may_be_sent_interim());
}

TEST_F(ClientTest, OfTheNextExchangeIsAnother) {
  struct Renewed final : ServedExchange {
    using ServedExchange::renew;
    using ServedExchange::ServedExchange;
  };
  Renewed renewed(transport);
  connection.client_finishes();
  const auto look = [&](std::chrono::milliseconds after) {
    const auto now = SteadyTime(1h) + after;
    return renewed.look_at_client(connection.server.get(), now, false) ==
           ServedExchange::Client::gone;
  };
  EXPECT_FALSE(look(0ms));
  renewed.renew();
  EXPECT_FALSE(look(half_closed_patience));
}

}  // namespace
}  // namespace prowingen
