// IP addresses as text, and who is in a list of networks.
#include "proxies/networks.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace prowingen {
namespace {

using namespace std::literals;

bool contains(std::vector<std::string> texts, std::string_view address) {
  return Networks(texts).contains_peer(address);
}

TEST(IpAddress, IsReadAndWritten) {
  for (const auto& [text, written] : {
           std::pair{"192.0.2.1"sv, "192.0.2.1"sv},
           {"::1"sv, "::1"sv},
           {"2001:DB8:0:0::0001"sv, "2001:db8::1"sv},
           {"::ffff:192.0.2.1"sv, "192.0.2.1"sv},
           {"::FFFF:c000:201"sv, "192.0.2.1"sv},
           {"::192.0.2.1"sv, "::192.0.2.1"sv},
       }) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), written) << text;
    EXPECT_EQ(IpAddress::parse(written), address) << text;
  }
}

TEST(IpAddress, IsNothingElse) {
  for (const auto text : {""sv,
                          "localhost"sv,
                          "192.0.2"sv,
                          "192.0.2.1.5"sv,
                          "192.0.2.256"sv,
                          "192.0.2.01"sv,
                          " 192.0.2.1"sv,
                          "192.0.2.1 "sv,
                          "192.0.2.1\0"sv,
                          "192.0.2.1:80"sv,
                          "[::1]"sv,
                          ":::"sv,
                          "::1%eth0"sv,
                          "1:2:3:4:5:6:7"sv,
                          "1:2:3:4:5:6:7:8:9"sv,
                          "::12345"sv,
                          "0x7f.0.0.1"sv,
                          "2130706433"sv,
                          "::ffff:192.0.2.256"sv,
                          "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(Networks, ContainWhatBeginsWithTheirBits) {
  EXPECT_TRUE(contains({"10.0.0.0/8"}, "10.255.0.1"));
  EXPECT_FALSE(contains({"10.0.0.0/8"}, "11.0.0.0"));
  EXPECT_TRUE(contains({"192.0.2.128/25"}, "192.0.2.255"));
  EXPECT_FALSE(contains({"192.0.2.128/25"}, "192.0.2.127"));
  EXPECT_TRUE(contains({"192.0.2.7"}, "192.0.2.7"));
  EXPECT_FALSE(contains({"192.0.2.7"}, "192.0.2.6"));
  EXPECT_TRUE(contains({"192.0.2.7/32", "0.0.0.0/0"}, "1.2.3.4"));
  EXPECT_TRUE(contains({"2001:db8::/33"}, "2001:db8:7fff::1"));
  EXPECT_FALSE(contains({"2001:db8::/33"}, "2001:db8:8000::1"));
  EXPECT_TRUE(contains({"::1"}, "::1"));
  EXPECT_FALSE(contains({"::1"}, "::2"));
  EXPECT_FALSE(contains({}, "127.0.0.1"));
}

TEST(Networks, TakeAnAddressOfIpv4ThatIpv6CarriesForWhatItIs) {
  EXPECT_TRUE(contains({"10.0.0.0/8"}, "::ffff:10.1.2.3"));
  EXPECT_TRUE(contains({"::ffff:10.0.0.0/104"}, "10.1.2.3"));
  EXPECT_FALSE(contains({"::ffff:10.0.0.0/104"}, "11.1.2.3"));
  EXPECT_TRUE(contains({"::ffff:10.1.2.3"}, "10.1.2.3"));
}

TEST(Networks, OfOneFamilySayNothingAboutTheOther) {
  EXPECT_FALSE(contains({"::/0"}, "10.1.2.3"));
  EXPECT_FALSE(contains({"::/0"}, "::ffff:10.1.2.3"));
  EXPECT_FALSE(contains({"0.0.0.0/0"}, "::1"));
}

TEST(Networks, UnixIsForSocketsWithoutAnAddress) {
  EXPECT_TRUE(contains({"unix"}, ""));
  EXPECT_FALSE(contains({"unix"}, "127.0.0.1"));
  EXPECT_FALSE(contains({"0.0.0.0/0", "::/0"}, ""));
}

TEST(Networks, AsteriskIsEverybody) {
  for (const auto address : {""sv, "1.2.3.4"sv, "::1"sv}) EXPECT_TRUE(contains({"*"}, address));
}

TEST(Networks, AZoneOfAPeerIsNotLookedAt) { EXPECT_TRUE(contains({"fe80::/64"}, "fe80::1%eth0")); }

TEST(Networks, AreEmptyOnlyWithoutAny) {
  EXPECT_TRUE(Networks(std::vector<std::string>{}).empty());
  for (const auto* text : {"*", "unix", "::1"}) {
    EXPECT_FALSE(Networks(std::vector<std::string>{text}).empty()) << text;
  }
}

TEST(Networks, RefuseWhatIsNone) {
  for (const auto* text : {"",
                           " ",
                           "localhost",
                           "10.0.0.1/8",
                           "10.0.0.0/33",
                           "10.0.0.0/",
                           "10.0.0.0/-1",
                           "10.0.0.0/+8",
                           "10.0.0.0/8/8",
                           "10.0.0.0/255.0.0.0",
                           "/8",
                           "::1/129",
                           "::1/64",
                           "fe80::1%eth0",
                           "::ffff:0.0.0.0/95",
                           "::ffff:10.1.0.0/104",
                           "10.0.0.0/8 ",
                           "UNIX",
                           "**",
                           "10.*",
                           "10.0.0.0/99999999999999999999"}) {
    EXPECT_THROW(Networks(std::vector<std::string>{text}), std::invalid_argument) << text;
  }
}

TEST(Port, IsANumberWithoutLeadingZeros) {
  for (const auto text : {"0"sv, "80"sv, "65535"sv}) EXPECT_TRUE(is_port(text)) << text;
  for (const auto text : {""sv, "00"sv, "080"sv, "65536"sv, "+80"sv, "-1"sv, " 80"sv, "8o"sv,
                          "99999999999999999999"sv}) {
    EXPECT_FALSE(is_port(text)) << text;
  }
}

}  // namespace
}  // namespace prowingen
