// TLS over a socket that takes and gives little at a time: everything arrives, in order, and
// nothing readable is left where an event loop cannot see it.
#include "engine_embedded/tls_stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "tls/self_signed.h"

namespace prowingen::embedded {
namespace {

using namespace std::literals;
using Status = Transfer::Status;

std::string pattern(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// The server's end of a connection with small buffers, and OpenSSL's own client at the other.
class TlsStreamTest : public testing::Test {
 protected:
  TlsStreamTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    server_socket.reset(ends[0]);
    client_socket.reset(ends[1]);
    for (const int end : ends) {
      const int small = 4096;
      ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
      ::fcntl(end, F_SETFL, O_NONBLOCK);
    }
    stream = std::make_unique<TlsStream>(context, server_socket.get(), *buffers);
    client_context.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_mode(client_context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    client.reset(SSL_new(client_context.get()));
    SSL_set_fd(client.get(), client_socket.get());
    SSL_set_connect_state(client.get());
  }

  void shake_hands() {
    bool client_done = false;
    auto server_state = TlsStream::Handshake::wants_read;
    for (int i = 0; i < 1000; ++i) {
      if (!client_done) client_done = SSL_do_handshake(client.get()) == 1;
      if (server_state != TlsStream::Handshake::done) server_state = stream->handshake();
      if (client_done && server_state == TlsStream::Handshake::done) return;
    }
    FAIL() << "no handshake: " << stream->fault();
  }

  // What the client can read now.
  std::string client_reads() {
    std::string all;
    std::array<char, 5000> piece;
    std::size_t got = 0;
    while (SSL_read_ex(client.get(), piece.data(), piece.size(), &got) == 1) {
      all.append(piece.data(), got);
    }
    return all;
  }

  bool readable() const {
    ::pollfd polled{server_socket.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  }

  SelfSigned certificate;
  tls::Context context{certificate.options(), {"http/1.1"}};
  std::unique_ptr<TlsBuffers> buffers = std::make_unique<TlsBuffers>();
  UniqueFd server_socket, client_socket;
  std::unique_ptr<TlsStream> stream;
  std::unique_ptr<SSL_CTX, Free> client_context;
  std::unique_ptr<SSL, Free> client;
  std::array<char, 64 * 1024> buffer;
};

TEST_F(TlsStreamTest, WhatIsWrittenArrivesWhateverTheSocketTakes) {
  shake_hands();
  std::mt19937 random(7);
  const std::string sent = pattern(1'000'000);
  std::size_t written = 0;
  std::string arrived;
  while (arrived.size() < sent.size()) {
    // Pieces of any size, as heads, chunks and large bodies are.
    std::vector<iovec> pieces;
    std::size_t at = written;
    for (int i = 0; i < 5 && at < sent.size(); ++i) {
      const std::size_t limit = random() % 3 == 0 ? 200'000 : 500;
      const auto size = std::min<std::size_t>(random() % limit + 1, sent.size() - at);
      pieces.push_back({const_cast<char*>(sent.data() + at), size});
      at += size;
    }
    if (!pieces.empty()) {
      const auto transfer = stream->send_vector(pieces);
      ASSERT_NE(transfer.status, Status::failed);
      if (transfer.status == Status::ok) written += transfer.bytes;
      ASSERT_LE(written, at);
    } else {
      ASSERT_NE(stream->flush(), Status::failed);
    }
    arrived += client_reads();
  }
  EXPECT_EQ(arrived, sent);
  EXPECT_TRUE(stream->flushed());
}

TEST_F(TlsStreamTest, AFileArrives) {
  shake_hands();
  const std::string sent = pattern(300'000);
  std::FILE* file = std::tmpfile();
  ASSERT_EQ(std::fwrite(sent.data(), 1, sent.size(), file), sent.size());
  std::fflush(file);
  std::uint64_t offset = 0;
  std::string arrived;
  while (arrived.size() < sent.size()) {
    if (offset < sent.size()) {
      const auto transfer = stream->send_file(::fileno(file), offset, sent.size() - offset);
      ASSERT_NE(transfer.status, Status::failed);
      if (transfer.status == Status::ok) offset += transfer.bytes;
    } else {
      stream->flush();
    }
    arrived += client_reads();
  }
  EXPECT_EQ(arrived, sent);
  EXPECT_EQ(stream->send_file(::fileno(file), sent.size(), 10).status, Status::end_of_stream);
  std::fclose(file);
}

TEST_F(TlsStreamTest, NothingReadableHidesFromThePoller) {
  shake_hands();
  std::mt19937 random(3);
  const std::string sent = pattern(500'000, 2);
  std::size_t written = 0;
  std::size_t size = 0;
  std::string arrived;
  while (written < sent.size()) {
    std::size_t taken = 0;
    if (size == 0) size = std::min<std::size_t>(random() % 40'000 + 1, sent.size() - written);
    if (SSL_write_ex(client.get(), sent.data() + written, size, &taken) == 1) {
      written += taken;
      size = 0;
    }  // else the same again, as OpenSSL wants it
    while (readable()) {
      const auto transfer = stream->receive(buffer);
      if (transfer.status == Status::ok) arrived.append(buffer.data(), transfer.bytes);
      ASSERT_NE(transfer.status, Status::failed);
      ASSERT_NE(transfer.status, Status::end_of_stream);
    }
  }
  EXPECT_EQ(arrived, sent) << "though the socket has no more";
}

TEST_F(TlsStreamTest, KeysMayChangeInTheMiddle) {
  shake_hands();
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(SSL_key_update(client.get(), SSL_KEY_UPDATE_REQUESTED), 1);
    std::size_t taken = 0;
    ASSERT_EQ(SSL_write_ex(client.get(), "ping", 4, &taken), 1);
    const auto received = stream->receive(buffer);
    ASSERT_EQ(received.status, Status::ok);
    EXPECT_EQ(std::string_view(buffer.data(), received.bytes), "ping");
    iovec piece{const_cast<char*>("pong"), 4};
    ASSERT_EQ(stream->send_vector({&piece, 1}).bytes, 4U);
    EXPECT_EQ(client_reads(), "pong");
  }
}

TEST_F(TlsStreamTest, KeysThatChangeWithoutEndEndIt) {
  shake_hands();
  // An answer has 27 bytes; the client reads none.
  Status status = Status::would_block;
  for (int i = 0; i < 40'000 && status != Status::failed; ++i) {
    ASSERT_EQ(SSL_key_update(client.get(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(client.get()), 1);
    status = stream->receive(buffer).status;
  }
  EXPECT_EQ(status, Status::failed);
}

TEST_F(TlsStreamTest, BothSidesSayGoodbye) {
  shake_hands();
  stream->finish();
  EXPECT_EQ(client_reads(), "");
  EXPECT_EQ(SSL_get_shutdown(client.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
  SSL_shutdown(client.get());
  EXPECT_EQ(stream->receive(buffer).status, Status::end_of_stream);
}

// Whoever waits for the socket to be readable would not hear of it again.
TEST_F(TlsStreamTest, AnEndThatComesWithTheLastBytesIsKnown) {
  shake_hands();
  std::size_t taken = 0;
  ASSERT_EQ(SSL_write_ex(client.get(), "ping", 4, &taken), 1);
  SSL_shutdown(client.get());
  EXPECT_FALSE(stream->at_end());
  const auto received = stream->receive(buffer);
  EXPECT_EQ(std::string_view(buffer.data(), received.bytes), "ping");
  EXPECT_FALSE(readable());
  EXPECT_TRUE(stream->at_end());
  EXPECT_EQ(stream->receive(buffer).status, Status::end_of_stream);
  EXPECT_EQ(stream->receive(buffer).status, Status::end_of_stream) << "and for good";
  iovec piece{const_cast<char*>("pong"), 4};
  ASSERT_EQ(stream->send_vector({&piece, 1}).bytes, 4U);
  EXPECT_EQ(client_reads(), "pong");
}

TEST_F(TlsStreamTest, AFaultBehindTheLastBytesIsKnown) {
  shake_hands();
  std::size_t taken = 0;
  ASSERT_EQ(SSL_write_ex(client.get(), "ping", 4, &taken), 1);
  const std::string_view forged = "\x17\x03\x03\x00\x20 these are not of the client ...."sv;
  ASSERT_GT(::send(client_socket.get(), forged.data(), forged.size(), 0), 0);
  const auto received = stream->receive(buffer);
  EXPECT_EQ(std::string_view(buffer.data(), received.bytes), "ping");
  EXPECT_TRUE(stream->at_end());
  EXPECT_EQ(stream->receive(buffer).status, Status::failed);
}

TEST_F(TlsStreamTest, AGoodbyeWaitsForASocketThatIsFull) {
  shake_hands();
  std::string sent(50'000, 'x');
  iovec piece{sent.data(), sent.size()};
  ASSERT_EQ(stream->send_vector({&piece, 1}).bytes, sent.size());
  ASSERT_FALSE(stream->flushed());
  stream->finish();
  EXPECT_FALSE(stream->flushed());
  std::string arrived;
  for (int i = 0; i < 1000 && !stream->flushed(); ++i) {
    arrived += client_reads();
    ASSERT_NE(stream->flush(), Status::failed);
  }
  arrived += client_reads();
  EXPECT_EQ(arrived, sent);
  EXPECT_EQ(SSL_get_shutdown(client.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

TEST_F(TlsStreamTest, WhatOnceWaitedForTheSocketLeavesNoMemoryBehind) {
  shake_hands();
  std::string sent(60'000, 'x');
  iovec piece{sent.data(), sent.size()};
  ASSERT_EQ(stream->send_vector({&piece, 1}).bytes, sent.size());
  EXPECT_GE(stream->held(), 40'000U);
  while (!stream->flushed()) {
    client_reads();
    ASSERT_NE(stream->flush(), Status::failed);
  }
  EXPECT_LT(stream->held(), 100U);
  EXPECT_GE(buffers->encrypted.capacity(), sent.size()) << "it is the thread's";
}

TEST_F(TlsStreamTest, BytesThatNobodyEncryptedEndIt) {
  shake_hands();
  const std::string_view forged = "\x17\x03\x03\x00\x20 these are not of the client ...."sv;
  ASSERT_GT(::send(client_socket.get(), forged.data(), forged.size(), 0), 0);
  EXPECT_EQ(stream->receive(buffer).status, Status::failed);
  EXPECT_EQ(stream->receive(buffer).status, Status::failed) << "and for good";
  iovec piece{const_cast<char*>("x"), 1};
  EXPECT_EQ(stream->send_vector({&piece, 1}).status, Status::failed);
}

TEST_F(TlsStreamTest, AHandshakeThatIsNoneFails) {
  ASSERT_GT(::send(client_socket.get(),
                   "\x16\x03\x01\x00\x05"
                   "12345",
                   10, 0),
            0);
  EXPECT_EQ(stream->handshake(), TlsStream::Handshake::failed);
  EXPECT_FALSE(stream->fault().empty());
}

TEST_F(TlsStreamTest, AClientMayLeaveInTheMiddleOfTheHandshake) {
  SSL_do_handshake(client.get());
  EXPECT_EQ(stream->handshake(), TlsStream::Handshake::wants_read);
  client_socket.reset();
  EXPECT_EQ(stream->handshake(), TlsStream::Handshake::closed);
}

TEST(TlsContextTest, FilesThatCannotBeUsedAreNamed) {
  Options options;
  options.certfile = {"/nowhere/at/all.pem"};
  try {
    const tls::Context context(options, {"http/1.1"});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "certfile: \"/nowhere/at/all.pem\": No such file or directory");
  }
}

}  // namespace
}  // namespace prowingen::embedded
