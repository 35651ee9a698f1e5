// Random names: nobody else's, and in the digits of what they are made of.
#include "tracing/random_text.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/chunk.h"
#include "core/forks.h"

namespace prowingen::tracing {
namespace {

TEST(RandomText, IsNobodyElses) {
  std::vector<std::vector<std::string>> made(4);
  std::vector<std::thread> threads;
  threads.reserve(made.size());
  for (auto& own : made) {
    threads.emplace_back([&own] {
      for (int i = 0; i < 500; ++i) own.emplace_back(view_of(make_uuid()));
    });
  }
  for (auto& each : threads) each.join();
  std::set<std::string> all;
  for (const auto& own : made) all.insert(own.begin(), own.end());
  EXPECT_EQ(all.size(), 2000U);
}

TEST(RandomText, IsNotThatOfAForkedChild) {
  std::array<int, 2> ends{};
  ASSERT_EQ(0, ::pipe(ends.data()));
  const UniqueFd from_child(ends[0]);
  const UniqueFd to_parent(ends[1]);
  const KeptFromChildren kept(from_child.get());  // as a server's sockets are, which tells of forks
  random_words<1>();                              // there are more of them to be copied
  const auto child = ::fork();
  if (child == 0) {
    const auto word = random_words<1>()[0];
    ::_exit(::write(to_parent.get(), &word, sizeof word) == sizeof word ? 0 : 1);
  }
  std::uint64_t theirs = 0;
  ASSERT_EQ(static_cast<ssize_t>(sizeof theirs), ::read(from_child.get(), &theirs, sizeof theirs));
  EXPECT_EQ(child, ::waitpid(child, nullptr, 0));
  EXPECT_NE(theirs, random_words<1>()[0]);
}

TEST(RandomText, HasADigitForEachFourBits) {
  std::array<char, 16> text{};
  EXPECT_EQ(write_hex(0x0123'4567'89AB'CDEFU, text.data()), text.data() + text.size());
  EXPECT_EQ(view_of(text), "fedcba9876543210");
}

TEST(RandomText, IsEveryVariantThatAUuidMayHave) {
  std::map<char, int> variants;
  for (int i = 0; i < 4000; ++i) ++variants[make_uuid()[19]];
  ASSERT_EQ(variants.size(), 4U);
  for (const auto& [digit, count] : variants) {
    EXPECT_NE(std::string("89ab").find(digit), std::string::npos);
    EXPECT_NEAR(count, 1000, 200) << digit;  // seven times as far off as such counts are, usually
  }
}

}  // namespace
}  // namespace prowingen::tracing
