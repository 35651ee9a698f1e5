// The queue of bytes before a socket: order, partial writes, files, and when memory is given back.
#include "engine_embedded/out_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "engine_embedded/channel.h"

namespace prowingen::embedded {
namespace {

using namespace std::literals;
using Result = OutQueue::Result;

// Bytes in which a piece that is lost, doubled or out of place shows.
std::string pattern(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// A file without a name.
UniqueFd file_with(std::string_view bytes) {
  std::string path = testing::TempDir() + "out_queue_XXXXXX";
  UniqueFd file(::mkstemp(path.data()));
  EXPECT_TRUE(file);
  ::unlink(path.c_str());
  EXPECT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  return file;
}

struct Lender {
  explicit Lender(std::string text) : bytes(std::move(text)) {}
  std::string bytes;
  int releases = 0;
  Chunk lend() {
    return Chunk(
        BorrowedBytes(bytes, this, [](void* self) { ++static_cast<Lender*>(self)->releases; }));
  }
};

// A queue, the server's end of a connection with a small buffer, and the client's end.
class OutQueueTest : public testing::Test {
 protected:
  OutQueueTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    server = Channel(ConnectionSocket(ends[0]));
    client.reset(ends[1]);
    for (const int end : ends) ::fcntl(end, F_SETFL, O_NONBLOCK);
    const int small = 4096;
    ::setsockopt(server.socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  }

  Result write(std::uint64_t turn = UINT64_MAX) { return queue.write(server, written, turn); }

  // What the client can read now.
  std::string read() {
    std::string all;
    std::array<char, 65536> buffer;
    ssize_t got;
    while ((got = ::recv(client.get(), buffer.data(), buffer.size(), 0)) > 0) {
      all.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return all;
  }

  // Writes and reads in turn until everything is out.
  std::string write_all() {
    std::string all;
    for (;;) {
      const auto before = queue.size();
      const auto written_before = written;
      const Result result = write();
      EXPECT_EQ(before - queue.size(), written - written_before) << "size() and written disagree";
      all += read();
      if (result == Result::all_written) return all;
      if (result == Result::failed) {
        ADD_FAILURE() << "failed after " << all.size() << " bytes";
        return all;
      }
      ++blocked;
    }
  }

  std::string spare;
  OutQueue queue{spare};
  Channel server{ConnectionSocket()};
  UniqueFd client;
  std::uint64_t written = 0;
  int blocked = 0;
};

TEST_F(OutQueueTest, IsEmptyAtFirstAndAfterwards) {
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_EQ(write(), Result::all_written);
  queue.text().append("abc");
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(write_all(), "abc");
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_EQ(written, 3U);
}

TEST_F(OutQueueTest, KeepsTheOrderOfAllKinds) {
  Lender lender("borrowed ");
  queue.text().append("text ");
  queue.text().append("more ");
  queue.add(lender.lend());
  queue.add(Chunk(FileRange{file_with("in front FILE behind"), 9, 5}));
  queue.text().append("tail");
  EXPECT_EQ(queue.size(), 28U);
  EXPECT_EQ(write_all(), "text more borrowed FILE tail");
}

TEST_F(OutQueueTest, EmptyChunksAreNoneAtAll) {
  Lender lender("");
  queue.add(Chunk());
  queue.add(Chunk(FileRange{UniqueFd(), 0, 0}));
  queue.add(lender.lend());
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(lender.releases, 1);
}

// A client that reads as fast as this writes never blocks it, and the others would wait.
TEST_F(OutQueueTest, EndsItsTurnThoughTheSocketTakesMore) {
  const int large = 1 << 20;
  ::setsockopt(server.socket(), SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
  Lender lender(pattern(4000));
  std::string expected;
  for (int i = 0; i < 100; ++i) {  // more than one call takes
    queue.add(lender.lend());
    expected += lender.bytes;
  }
  const auto file = pattern(3000, 2);
  queue.add(Chunk(FileRange{file_with(file), 0, file.size()}));
  queue.add(Chunk(FileRange{file_with(file), 0, file.size()}));
  expected += file + file;

  EXPECT_EQ(write(1), Result::turn_over);
  EXPECT_LE(written, 64U * 4000);
  const auto first = written;
  EXPECT_EQ(write(first), Result::turn_over);
  EXPECT_EQ(written, first) << "that turn was over before it began";
  std::string all = read();
  int turns = 1;
  while (write(written + 1) == Result::turn_over) {
    all += read();
    ++turns;
  }
  EXPECT_EQ(all + read(), expected);
  EXPECT_EQ(turns, 3) << "the rest of the pieces, then each file";
}

TEST_F(OutQueueTest, PartialWritesLoseNothing) {
  std::mt19937 random(3333);
  std::string expected;
  const std::string contents = pattern(300'000);
  Lender lender(pattern(200'000, 2));
  for (unsigned i = 0; i < 30; ++i) {
    const std::string text = pattern(random() % 3000, i);
    queue.text().append(text);
    expected += text;
    if (i % 10 == 3) {
      queue.add(lender.lend());
      expected += lender.bytes;
    }
    if (i % 10 == 7) {
      const std::uint64_t from = random() % 100'000;
      const std::uint64_t size = random() % 200'000;
      queue.add(Chunk(FileRange{file_with(contents), from, size}));
      expected += contents.substr(from, size);
    }
  }
  EXPECT_EQ(queue.size(), expected.size());
  EXPECT_TRUE(write_all() == expected) << "bytes were lost, doubled or reordered";
  EXPECT_GT(blocked, 10) << "the socket was meant to be too small";
  EXPECT_EQ(written, expected.size());
  EXPECT_EQ(lender.releases, 3);
}

TEST_F(OutQueueTest, TextMayFollowWhileTheFirstIsHalfOut) {
  std::string expected = pattern(200'000);
  queue.text().append(expected);
  ASSERT_EQ(write(), Result::would_block);
  const std::string more = pattern(1000, 2);
  queue.text().append(more);
  expected += more;
  std::string all = read();
  all += write_all();
  EXPECT_TRUE(all == expected);
}

TEST_F(OutQueueTest, TakesMorePiecesThanOneSystemCallDoes) {
  std::string expected;
  Lender lender("ab");
  for (int i = 0; i < 500; ++i) {
    queue.text().append(std::to_string(i));
    queue.add(lender.lend());
    expected += std::to_string(i) + "ab";
  }
  EXPECT_EQ(write_all(), expected);
  EXPECT_EQ(lender.releases, 500);
}

TEST_F(OutQueueTest, ALargeFileGoesOutInTurns) {
  const std::string contents = pattern(3 * 1024 * 1024);
  queue.add(Chunk(FileRange{file_with(contents), 0, contents.size()}));
  EXPECT_TRUE(write_all() == contents);
}

TEST_F(OutQueueTest, BorrowedBytesAreGivenBackAsSoonAsTheyAreOut) {
  Lender first(pattern(200'000));
  Lender second(pattern(200'000, 2));
  queue.add(first.lend());
  queue.add(second.lend());
  std::uint64_t got = 0;
  while (write() == Result::would_block) {
    EXPECT_EQ(first.releases, written >= 200'000 ? 1 : 0) << written;
    EXPECT_EQ(second.releases, 0);
    got += read().size();
  }
  EXPECT_EQ(second.releases, 1);
  EXPECT_EQ(got + read().size(), 400'000U);
}

TEST_F(OutQueueTest, ClearGivesEverythingBack) {
  Lender lender(pattern(200'000));
  queue.add(lender.lend());
  ASSERT_EQ(write(), Result::would_block);
  queue.clear();
  EXPECT_EQ(lender.releases, 1);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0U);
  read();
  queue.text().append("afterwards");
  EXPECT_EQ(write_all(), "afterwards");
}

TEST_F(OutQueueTest, DestructionGivesEverythingBack) {
  Lender lender("bytes");
  {
    std::string other_spare;
    OutQueue other(other_spare);
    other.add(lender.lend());
  }
  EXPECT_EQ(lender.releases, 1);
}

// The length went out with the head: what cannot be filled must not look whole.
TEST_F(OutQueueTest, AFileShorterThanClaimedIsTold) {
  queue.text().append("head");
  queue.add(Chunk(FileRange{file_with("0123456789"), 2, 20}));
  Result result;
  std::string all;
  while ((result = write()) == Result::would_block) all += read();
  EXPECT_EQ(result, Result::file_too_short);
  EXPECT_EQ(all + read(), "head23456789");
}

TEST_F(OutQueueTest, AClientThatIsGoneFails) {
  client.reset();
  queue.text().append("abc");
  EXPECT_EQ(write(), Result::failed);
}

TEST_F(OutQueueTest, PassesTheCapacityOfSmallTextsOn) {
  queue.text().append(pattern(5000));
  ASSERT_EQ(write_all().size(), 5000U);
  const auto capacity = spare.capacity();
  const auto* const data = spare.data();
  EXPECT_GE(capacity, 5000U);
  std::string& text = queue.text();
  EXPECT_EQ(text.data(), data) << "the next text allocates nothing";
  EXPECT_TRUE(text.empty());
}

TEST_F(OutQueueTest, KeepsNoHugeBuffer) {
  queue.text().append(pattern(1024 * 1024));
  ASSERT_EQ(write_all().size(), 1024U * 1024);
  EXPECT_LT(spare.capacity(), 256U * 1024);
}

}  // namespace
}  // namespace prowingen::embedded
