// Who owns what a chunk carries, and when it lets go: descriptors, borrowed memory, file ranges.
#include "core/chunk.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace prowingen {
namespace {

using namespace std::literals;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1 || errno != EBADF; }

UniqueFd open_something() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// An owner that counts how often its memory was given back.
struct Lender {
  std::string bytes = "0123456789";
  int releases = 0;
  BorrowedBytes lend() {
    return BorrowedBytes(bytes, this, [](void* self) { ++static_cast<Lender*>(self)->releases; });
  }
};

TEST(Chunk, WhatItsLenderBoundsTakesNoMemory) {
  const auto ignore = [](void*) {};
  using Bounded = BorrowedBytes::Bounded;
  int owner = 0;
  Chunk charged(BorrowedBytes("0123456789", &owner, ignore));
  Chunk free(BorrowedBytes("0123456789", &owner, ignore, Bounded::by_lender));
  EXPECT_EQ(charged.memory(), 10U);
  EXPECT_EQ(free.memory(), 0U);
  EXPECT_EQ(free.size(), 10U);
  EXPECT_EQ(free.bytes(), "0123456789");
  free = std::move(charged);  // as bytes move, so does who bounds them
  EXPECT_EQ(free.memory(), 10U);
  EXPECT_EQ(Chunk(std::string("0123")).memory(), 4U);
}

TEST(UniqueFd, ClosesWhatItOwns) {
  int number = -1;
  {
    const UniqueFd fd = open_something();
    number = fd.get();
    ASSERT_TRUE(fd);
    ASSERT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, ByDefaultOwnsNothing) {
  const UniqueFd fd;
  EXPECT_FALSE(fd);
  EXPECT_EQ(fd.get(), -1);
}

TEST(UniqueFd, MoveHandsTheDescriptorOver) {
  UniqueFd first = open_something();
  const int number = first.get();
  UniqueFd second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what a move leaves behind is the point
  EXPECT_EQ(second.get(), number);
  EXPECT_TRUE(is_open(number));
}

TEST(UniqueFd, MoveAssignmentClosesWhatWasThere) {
  UniqueFd kept = open_something();
  UniqueFd replaced = open_something();
  const int number = kept.get();
  const int closed = replaced.get();
  replaced = std::move(kept);
  EXPECT_EQ(replaced.get(), number);
  EXPECT_TRUE(is_open(number));
  EXPECT_FALSE(is_open(closed));
}

TEST(UniqueFd, ReleaseGivesItAwayOpen) {
  int number = -1;
  {
    UniqueFd fd = open_something();
    number = fd.release();
    EXPECT_FALSE(fd);
  }
  ASSERT_TRUE(is_open(number));
  ::close(number);
}

TEST(UniqueFd, ResetClosesAndTakesAnother) {
  UniqueFd fd = open_something();
  const int before = fd.get();
  UniqueFd other = open_something();
  const int after = other.get();
  fd.reset(other.release());
  EXPECT_FALSE(is_open(before));
  EXPECT_EQ(fd.get(), after);
  fd.reset();
  EXPECT_FALSE(fd);
  EXPECT_FALSE(is_open(after));
}

TEST(BorrowedBytes, AreGivenBackOnceHoweverOftenTheyMove) {
  Lender lender;
  {
    BorrowedBytes first = lender.lend();
    BorrowedBytes second(std::move(first));
    EXPECT_EQ(second.view(), "0123456789");
    BorrowedBytes third(std::move(second));
    EXPECT_EQ(lender.releases, 0);
  }
  EXPECT_EQ(lender.releases, 1);
}

TEST(BorrowedBytes, AssignmentGivesBothBackOnceEach) {
  Lender one;
  Lender two;
  {
    BorrowedBytes first = one.lend();
    BorrowedBytes second = two.lend();
    first = std::move(second);
    EXPECT_EQ(first.view().data(), two.bytes.data());
    EXPECT_EQ(two.releases, 0) << "still referred to";
  }
  EXPECT_EQ(one.releases, 1);
  EXPECT_EQ(two.releases, 1);
}

TEST(BorrowedBytes, CuttingEitherEndKeepsTheOwner) {
  Lender lender;
  {
    BorrowedBytes bytes = lender.lend();
    bytes.remove_prefix(2);
    bytes.remove_suffix(3);
    EXPECT_EQ(bytes.view(), "23456");
    bytes.remove_suffix(5);
    EXPECT_EQ(lender.releases, 0) << "an owner is told when the bytes are dropped, not when empty";
  }
  EXPECT_EQ(lender.releases, 1);
}

TEST(Chunk, IsOneOfThreeKinds) {
  Lender lender;
  Chunk text("abc"s);
  Chunk borrowed(lender.lend());
  Chunk file(FileRange{open_something(), 7, 1'000'000'000'000});

  EXPECT_TRUE(text.own() != nullptr && text.borrowed() == nullptr && text.file() == nullptr);
  EXPECT_TRUE(borrowed.own() == nullptr && borrowed.borrowed() != nullptr);
  EXPECT_TRUE(file.own() == nullptr && file.borrowed() == nullptr && file.file() != nullptr);
  EXPECT_EQ(borrowed.file(), nullptr);

  EXPECT_EQ(text.size(), 3U);
  EXPECT_EQ(borrowed.size(), 10U);
  EXPECT_EQ(file.size(), 1'000'000'000'000U) << "more than 32 bits";
}

TEST(Chunk, IsEmptyTextByDefault) {
  Chunk chunk;
  EXPECT_TRUE(chunk.empty());
  ASSERT_NE(chunk.own(), nullptr);
  EXPECT_EQ(*chunk.own(), "");
}

TEST(Chunk, TruncateKeepsTheFirstBytes) {
  Lender lender;
  Chunk text("0123456789"s);
  Chunk borrowed(lender.lend());
  Chunk file(FileRange{open_something(), 7, 10});
  for (Chunk* chunk : {&text, &borrowed, &file}) {
    chunk->truncate(10);
    EXPECT_EQ(chunk->size(), 10U);
    chunk->truncate(4);
    EXPECT_EQ(chunk->size(), 4U);
  }
  EXPECT_EQ(*text.own(), "0123");
  EXPECT_EQ(borrowed.borrowed()->view(), "0123");
  EXPECT_EQ(file.file()->offset, 7U);
  for (Chunk* chunk : {&text, &borrowed, &file}) {
    chunk->truncate(0);
    EXPECT_TRUE(chunk->empty());
  }
  EXPECT_EQ(lender.releases, 0);
}

TEST(Chunk, MovesWithoutLettingGo) {
  Lender lender;
  int number = -1;
  {
    UniqueFd fd = open_something();
    number = fd.get();
    std::array<Chunk, 2> from{Chunk(lender.lend()), Chunk(FileRange{std::move(fd), 0, 5})};
    const std::array<Chunk, 2> to{std::move(from[0]), std::move(from[1])};
    EXPECT_EQ(to[0].size(), 10U);
    EXPECT_EQ(lender.releases, 0);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_EQ(lender.releases, 1);
  EXPECT_FALSE(is_open(number));
}

TEST(Chunk, AssigningAnEmptyOneLetsGoAtOnce) {
  Lender lender;
  UniqueFd fd = open_something();
  const int number = fd.get();
  Chunk borrowed(lender.lend());
  Chunk file(FileRange{std::move(fd), 0, 5});
  borrowed = Chunk();
  file = Chunk();
  EXPECT_EQ(lender.releases, 1);
  EXPECT_FALSE(is_open(number));
}

}  // namespace
}  // namespace prowingen
