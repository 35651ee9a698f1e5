// Keys of tickets take turns, in all processes at once.
#include "tls/tickets.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>

#include "tls/openssl_types.h"

namespace prowingen::tls {
namespace {

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeBy<EVP_CIPHER_CTX_free>>;
using Mac = std::unique_ptr<EVP_MAC_CTX, FreeBy<EVP_MAC_CTX_free>>;

class TicketsTest : public testing::Test {
 protected:
  void SetUp() override { now = std::time(nullptr); }
  static std::time_t clock() { return now; }

  std::string name_of_new(Tickets& tickets) {
    EXPECT_TRUE(tickets.encrypt(name.data(), iv.data(), cipher.get(), mac.get()));
    return {reinterpret_cast<const char*>(name.data()), name.size()};
  }

  Tickets::Found found(Tickets& tickets, const std::string& made) {
    return tickets.decrypt(reinterpret_cast<const unsigned char*>(made.data()), iv.data(),
                           cipher.get(), mac.get());
  }

  static inline std::time_t now = 0;
  std::array<unsigned char, 16> name{};
  std::array<unsigned char, EVP_MAX_IV_LENGTH> iv{};
  const Cipher cipher{EVP_CIPHER_CTX_new()};
  EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  const Mac mac{EVP_MAC_CTX_new(hmac)};
  const std::string secret = Tickets::new_secret();

  void TearDown() override { EVP_MAC_free(hmac); }
};

TEST_F(TicketsTest, ATicketIsTakenForItsPeriodAndTheNext) {
  Tickets tickets(secret, clock);
  const auto first = name_of_new(tickets);
  EXPECT_EQ(found(tickets, first), Tickets::Found::current);
  now += Tickets::period;
  EXPECT_NE(name_of_new(tickets), first);
  EXPECT_EQ(found(tickets, first), Tickets::Found::previous);
  now += Tickets::period;
  EXPECT_EQ(found(tickets, first), Tickets::Found::none);
}

TEST_F(TicketsTest, ProcessesWithTheSameSecretAgreeWhenever) {
  Tickets early(secret, clock);
  now += 5 * Tickets::period;
  Tickets late(secret, clock);
  EXPECT_EQ(name_of_new(early), name_of_new(late));
  Tickets other(Tickets::new_secret(), clock);
  EXPECT_NE(name_of_new(other), name_of_new(late));
}

TEST_F(TicketsTest, AClockThatIsSetBackChangesNothing) {
  Tickets tickets(secret, clock);
  now += Tickets::period;
  const auto made = name_of_new(tickets);
  now -= 3 * Tickets::period;
  EXPECT_EQ(name_of_new(tickets), made);
  EXPECT_EQ(found(tickets, made), Tickets::Found::current);
}

TEST_F(TicketsTest, WhatIsNoSecretIsRefused) {
  EXPECT_THROW(Tickets("secret", clock), std::invalid_argument);
  EXPECT_NO_THROW(Tickets(std::string(40, '\xff'), clock));
}

}  // namespace
}  // namespace prowingen::tls
