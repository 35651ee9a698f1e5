// Certificates are read anew when their files have changed and are still, and no sooner.
#include "tls/renewal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "tls/self_signed.h"

namespace prowingen::tls {
namespace {

using std::chrono::seconds;

class RenewalTest : public testing::Test {
 protected:
  void look() {
    now += seconds(1);
    renewal.look(now);
  }

  static std::string content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // As who renews them does it: another file takes the place.
  void replace(const std::string& text) {
    const std::string path = certificate.path() + ".new";
    std::ofstream(path) << text;
    std::filesystem::rename(path, certificate.path());
  }

  SelfSigned certificate, other;
  Context context{certificate.options(), {"http/1.1"}};
  std::vector<std::string> said;
  std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
  Renewal renewal{context, [this](Severity, std::string text) { said.push_back(std::move(text)); },
                  true};
};

TEST_F(RenewalTest, WhatStaysIsNotReadAnew) {
  const auto before = context.current();
  for (int i = 0; i < 5; ++i) look();
  EXPECT_EQ(context.current(), before);
  EXPECT_TRUE(said.empty());
}

TEST_F(RenewalTest, AChangeIsReadOnceItIsStill) {
  const auto before = context.current();
  replace(content(other.path()));
  look();
  EXPECT_EQ(context.current(), before) << "more may be on its way";
  look();
  EXPECT_NE(context.current(), before);
  EXPECT_EQ(said.front(), "certificates were read anew");
}

TEST_F(RenewalTest, AFileThatKeepsChangingIsWaitedFor) {
  const auto before = context.current();
  for (const std::size_t size : {10, 20, 30, 40}) {
    replace(content(other.path()).substr(0, size));
    look();
  }
  EXPECT_EQ(context.current(), before);
  EXPECT_TRUE(said.empty());
}

TEST_F(RenewalTest, AFaultIsSaidOnceAndAnotherChangeMendsIt) {
  const auto before = context.current();
  replace("nothing");
  for (int i = 0; i < 5; ++i) look();
  EXPECT_EQ(context.current(), before);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said.front().find("what was read before stays in use"), std::string::npos);
  replace(content(other.path()));
  look();
  look();
  EXPECT_NE(context.current(), before);
}

TEST_F(RenewalTest, OneBadFileHoldsUpNoOther) {
  const SelfSigned third;
  Options both = certificate.options();
  both.certfile.push_back(other.path());
  Context two(both, {"http/1.1"});
  const auto before = two.current();
  std::ofstream(other.path()) << content(third.path());
  replace("nothing");
  const auto faults = two.renew();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_NE(faults.front().find(certificate.path()), std::string::npos);
  EXPECT_NE(two.current(), before);
  std::ofstream(other.path()) << "nothing either";
  EXPECT_THROW(two.renew(), std::invalid_argument);
}

TEST_F(RenewalTest, AModeThatIsMendedIsAChange) {
  const FileStamps before({certificate.path()});
  std::filesystem::permissions(certificate.path(), std::filesystem::perms::owner_read);
  EXPECT_NE(FileStamps({certificate.path()}), before);
}

TEST_F(RenewalTest, ExpiryIsToldOnceADay) {
  // The certificate lasts an hour.
  for (int i = 0; i < 5; ++i) look();
  EXPECT_TRUE(said.empty());
  now += std::chrono::hours(24);
  for (int i = 0; i < 5; ++i) look();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said.front().find("expires within a day"), std::string::npos);
}

TEST_F(RenewalTest, WhoBeganWithACertificateKeepsIt) {
  const std::unique_ptr<SSL, decltype(&SSL_free)> connection(SSL_new(context.current().get()),
                                                             SSL_free);
  const X509* const used = SSL_get_certificate(connection.get());
  replace(content(other.path()));
  context.renew();
  EXPECT_EQ(SSL_get_certificate(connection.get()), used);
  EXPECT_NE(SSL_CTX_get0_certificate(context.current().get()), used);
}

}  // namespace
}  // namespace prowingen::tls
