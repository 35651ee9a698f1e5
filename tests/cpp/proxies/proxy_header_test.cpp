// The PROXY protocol, versions 1 and 2. Names of sections are those of the specification.
#include "proxies/proxy_header.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <tuple>

#include "proxies/proxy_header_bytes.h"

namespace prowingen {
namespace {

using Outcome = ProxyHeaderProgress::Outcome;

struct Read {
  ProxyHeaderProgress progress;
  ProxyHeader header;
};

Read read(std::string_view input) {
  Read result;
  result.progress = parse_proxy_header(input, result.header);
  return result;
}

testing::AssertionResult accepts(std::string_view input) {
  const auto [progress, header] = read(input);
  if (progress.outcome == Outcome::complete) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "not accepted: " << progress.fault;
}

testing::AssertionResult refuses(std::string_view input) {
  const auto [progress, header] = read(input);
  if (progress.outcome != Outcome::malformed) return testing::AssertionFailure() << "not refused";
  if (progress.fault.empty()) return testing::AssertionFailure() << "refused for no reason";
  return testing::AssertionSuccess();
}

// ---------------------------------------------------------------------------- version 1

TEST(ProxyHeaderV1, TellsTheEndsOfTheClientsConnection) {
  const auto line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"sv;
  const auto [progress, header] = read(std::string(line) + "GET / HTTP/1.1\r\n");
  ASSERT_EQ(progress.outcome, Outcome::complete);
  EXPECT_EQ(progress.size, line.size());
  EXPECT_EQ(header.source, ProxySource::client);
  EXPECT_EQ(header.remote_address, "192.0.2.1");
  EXPECT_EQ(header.remote_port, "56324");
  EXPECT_EQ(header.local_address, "198.51.100.7");
  EXPECT_EQ(header.local_port, "443");
  EXPECT_FALSE(header.secure);
}

TEST(ProxyHeaderV1, MayBeAboutIpv6) {
  const auto [progress, header] = read("PROXY TCP6 2001:DB8::1 ::ffff:192.0.2.1 0 65535\r\n");
  ASSERT_EQ(progress.outcome, Outcome::complete);
  EXPECT_EQ(header.remote_address, "2001:db8::1");
  EXPECT_EQ(header.local_address, "192.0.2.1");
  EXPECT_EQ(header.remote_port, "0");
}

TEST(ProxyHeaderV1, MayBeLongAndUnknown) {
  const auto longest =
      "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      "xxxxxxxxxxxxxx\r\n"s;
  ASSERT_EQ(longest.size(), 107U);
  for (const auto& line : {"PROXY UNKNOWN\r\n"s, "PROXY UNKNOWN \r\n"s, longest}) {
    const auto [progress, header] = read(line);
    ASSERT_EQ(progress.outcome, Outcome::complete) << line;
    EXPECT_EQ(progress.size, line.size());
    EXPECT_EQ(header.source, ProxySource::unknown);
    EXPECT_EQ(header.remote_address, "");
  }
  EXPECT_TRUE(refuses("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n"));
}

TEST(ProxyHeaderV1, IsWhatItIsToTheLetter) {
  for (const auto line : {
           "PROXY TCP4 192.0.2.1 192.0.2.2 1 2"sv,
           "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"sv,
           "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"sv,
           "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"sv,
           "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"sv,
           "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"sv,
           "PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n"sv,
           "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"sv,
           "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n"sv,
           "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n"sv,
           "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n"sv,
           "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n"sv,
           "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n"sv,
           "PROXY TCP4 ::1 ::1 1 2\r\n"sv,
           "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"sv,
           "PROXY TCP6 ::1 192.0.2.2 1 2\r\n"sv,
           "PROXY TCP6 [::1] [::1] 1 2\r\n"sv,
           "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"sv,
           "PROXY TCP4 a b 1 2\r\n"sv,
           "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"sv,
           "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n"sv,
           "PROXY UNKNOWNS\r\n"sv,
           "PROXY \r\n"sv,
           "proxy UNKNOWN\r\n"sv,
           " PROXY UNKNOWN\r\n"sv,
           "PROXY\tUNKNOWN\r\n"sv,
           "GET / HTTP/1.1\r\n"sv,
           "\r\nPROXY UNKNOWN\r\n"sv,
       }) {
    // What is not complete does not become so with whatever follows.
    EXPECT_TRUE(refuses(std::string(line) + std::string(107, 'x'))) << line;
  }
}

TEST(ProxyHeaderV1, IsAwaitedNoLongerThanItCanBe) {
  EXPECT_EQ(read("PROXY UNKNOWN " + std::string(92, 'x')).progress.outcome, Outcome::need_more);
  EXPECT_TRUE(refuses("PROXY UNKNOWN " + std::string(93, 'x')));
}

// ---------------------------------------------------------------------------- version 2

TEST(ProxyHeaderV2, TellsTheEndsOfTheClientsConnection) {
  const auto sent = v2_header(0x21, 0x11, tcp4_block);
  const auto [progress, header] = read(sent + "GET");
  ASSERT_EQ(progress.outcome, Outcome::complete);
  EXPECT_EQ(progress.size, sent.size());
  EXPECT_EQ(header.source, ProxySource::client);
  EXPECT_EQ(header.remote_address, "192.0.2.1");
  EXPECT_EQ(header.remote_port, "1234");
  EXPECT_EQ(header.local_address, "192.0.2.2");
  EXPECT_EQ(header.local_port, "443");
  EXPECT_FALSE(header.secure);
}

TEST(ProxyHeaderV2, MayBeAboutIpv6) {
  const auto one = "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01"sv;
  const auto mapped = "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\x00\x02\x01"sv;
  const auto block = std::string(one).append(mapped).append("\x00\x50\xFF\xFF"sv);
  const auto [progress, header] = read(v2_header(0x21, 0x21, block));
  ASSERT_EQ(progress.outcome, Outcome::complete);
  EXPECT_EQ(header.remote_address, "2001:db8::1");
  EXPECT_EQ(header.local_address, "192.0.2.1");
  EXPECT_EQ(header.remote_port, "80");
  EXPECT_EQ(header.local_port, "65535");
}

TEST(ProxyHeaderV2, MayBeAboutAUnixSocket) {
  const auto [progress, header] = read(v2_header(0x21, 0x31, "/a/path" + std::string(209, '\0')));
  ASSERT_EQ(progress.outcome, Outcome::complete);
  EXPECT_EQ(header.source, ProxySource::client);
  EXPECT_EQ(header.remote_address + header.remote_port + header.local_address, "");
}

TEST(ProxyHeaderV2, LocalIsTheProxyItselfWhateverFollows) {
  for (const auto& sent :
       {v2_header(0x20, 0x00, ""), v2_header(0x20, 0x11, tcp4_block), v2_header(0x20, 0x11, "x"),
        v2_header(0x20, 0xFF, std::string(300, '\xFF'))}) {
    const auto [progress, header] = read(sent);
    ASSERT_EQ(progress.outcome, Outcome::complete);
    EXPECT_EQ(progress.size, sent.size());
    EXPECT_EQ(header.source, ProxySource::itself);
    EXPECT_EQ(header.remote_address, "");
  }
}

TEST(ProxyHeaderV2, UnspecifiedIsAClientWithoutAnAddress) {
  const auto [progress, header] = read(v2_header(0x21, 0x00, tlv(0x04, "padding")));
  ASSERT_EQ(progress.outcome, Outcome::complete);
  EXPECT_EQ(header.source, ProxySource::unknown);
}

TEST(ProxyHeaderV2, OtherVersionsCommandsAndFamiliesAreRefused) {
  for (const unsigned command : {0x00, 0x01, 0x11, 0x22, 0x2F, 0x31, 0xFF}) {
    EXPECT_TRUE(refuses(v2_header(command, 0x11, tcp4_block))) << command;
  }
  for (const unsigned family : {0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22, 0x30, 0x32, 0x41, 0xFF}) {
    EXPECT_TRUE(refuses(v2_header(0x21, family, std::string(216, '\0')))) << family;
  }
}

TEST(ProxyHeaderV2, IsLongEnoughForItsAddresses) {
  for (const auto& [family, size] :
       {std::tuple{0x11U, std::size_t{12}}, {0x21U, 36U}, {0x31U, 216U}}) {
    EXPECT_TRUE(accepts(v2_header(0x21, family, std::string(size, '\0')))) << family;
    EXPECT_TRUE(refuses(v2_header(0x21, family, std::string(size - 1, '\0')))) << family;
  }
}

TEST(ProxyHeaderV2, UnknownTlvsAreSkipped) {
  const auto longest = std::string(65535 - 12 - 3, 'x');
  EXPECT_TRUE(accepts(v2_header(0x21, 0x11, tcp4_block + tlv(0xEA, "aws") + tlv(0x04, ""))));
  EXPECT_TRUE(accepts(v2_header(0x21, 0x11, tcp4_block + tlv(0x05, longest))));
}

TEST(ProxyHeaderV2, TlvsEndWithTheHeader) {
  for (const auto cut : {"\x04"sv, "\x04\x00"sv, "\x04\x00\x01"sv, "\x04\xFF\xFFx"sv}) {
    EXPECT_TRUE(refuses(v2_header(0x21, 0x11, tcp4_block + std::string(cut))));
    EXPECT_TRUE(refuses(v2_header(0x21, 0x00, cut)));
  }
}

TEST(ProxyHeaderV2, ChecksumIsThatOfTheSpecification) {
  Crc32c crc;
  crc.add("123456789");
  EXPECT_EQ(crc.value(), 0xE3069283U);  // RFC 3720 appendix B.4 by its usual check value
}

TEST(ProxyHeaderV2, ChecksumIsVerified) {
  EXPECT_TRUE(accepts(with_checksum(0x11, tcp4_block)));
  EXPECT_TRUE(accepts(with_checksum(0x00, tlv(0x04, "before"))));
  EXPECT_TRUE(refuses(with_checksum(0x11, tcp4_block, 1)));
  EXPECT_TRUE(refuses(v2_header(0x21, 0x11, tcp4_block + tlv(0x03, "\0\0\0"sv))));
  auto changed = with_checksum(0x11, tcp4_block);
  changed[16] ^= 1;
  EXPECT_TRUE(refuses(changed));
}

TEST(ProxyHeaderV2, OneChecksumIsEnough) {
  EXPECT_TRUE(refuses(with_checksum(0x11, tcp4_block + tlv(0x03, "\0\0\0\0"sv))));
}

TEST(ProxyHeaderV2, TellsWhetherTheClientSpeaksTls) {
  const auto secure = [](std::string_view value) {
    const auto [progress, header] = read(v2_header(0x21, 0x11, tcp4_block + tlv(0x20, value)));
    EXPECT_EQ(progress.outcome, Outcome::complete);
    return header.secure;
  };
  EXPECT_TRUE(secure("\x01\0\0\0\0"sv));
  EXPECT_TRUE(secure("\x07\0\0\0\0"s + tlv(0x21, "TLSv1.3") + tlv(0x22, "client")));
  EXPECT_FALSE(secure("\x06\0\0\0\0"sv));  // a certificate, in a session that is not TLS
  for (const auto& cut : {"\x01\0\0\0"s, "\x01\0\0\0\0\x21\0"s, "\x01\0\0\0\0\x21\0\x02x"s}) {
    EXPECT_TRUE(refuses(v2_header(0x21, 0x11, tcp4_block + tlv(0x20, cut))));
  }
}

// ---------------------------------------------------------------------------- both

TEST(ProxyHeader, MayComeOctetByOctet) {
  for (const auto& sent : {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"s, "PROXY UNKNOWN\r\n"s,
                           v2_header(0x21, 0x11, tcp4_block + tlv(0x20, "\x01\0\0\0\0"sv)),
                           v2_header(0x20, 0x00, ""), with_checksum(0x11, tcp4_block)}) {
    for (std::size_t size = 0; size < sent.size(); ++size) {
      EXPECT_EQ(read(sent.substr(0, size)).progress.outcome, Outcome::need_more) << size;
    }
    EXPECT_TRUE(accepts(sent));
  }
}

TEST(ProxyHeader, IsRefusedWithItsFirstWrongOctet) {
  for (const auto& start : {"PROXY "s, std::string(v2_signature)}) {
    for (std::size_t at = 0; at < start.size(); ++at) {
      auto wrong = start.substr(0, at + 1);
      wrong[at] = static_cast<char>(wrong[at] ^ 0x40);
      EXPECT_TRUE(refuses(wrong)) << at;
    }
  }
  EXPECT_TRUE(refuses(std::string(v2_signature) + "\x11"));
}

}  // namespace
}  // namespace prowingen
