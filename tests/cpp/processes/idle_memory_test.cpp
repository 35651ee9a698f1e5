// When memory that was freed goes back to the system.
#include "processes/idle_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

namespace prowingen {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

ProcessMemory of(std::uint64_t resident_mib, std::uint64_t allocated_mib) {
  return {resident_mib * mib, allocated_mib * mib};
}

std::function<ProcessMemory()> telling(std::uint64_t resident_mib, std::uint64_t allocated_mib) {
  return [=] { return of(resident_mib, allocated_mib); };
}

TEST(IdleMemory, IsGivenBackOnceMuchHasBecomeFree) {
  IdleMemory idle;
  EXPECT_FALSE(idle.due(0, telling(30, 10)));
  EXPECT_FALSE(idle.due(5, telling(40, 10)));
  EXPECT_TRUE(idle.due(5, telling(500, 10)));
  idle.given_back(of(32, 10));
  EXPECT_FALSE(idle.due(5, telling(32, 10)));
  EXPECT_TRUE(idle.due(5, telling(500, 10)));
}

TEST(IdleMemory, ThatIsInUseIsLeftAlone) {
  IdleMemory idle;
  EXPECT_FALSE(idle.due(0, telling(30, 10)));
  EXPECT_FALSE(idle.due(0, telling(500, 480))) << "answers that nobody has read yet";
  EXPECT_TRUE(idle.due(0, telling(500, 10)));
}

TEST(IdleMemory, IsLeftAloneWhileRequestsCome) {
  IdleMemory idle;
  EXPECT_FALSE(idle.due(0, telling(30, 10)));
  EXPECT_FALSE(idle.due(1000, telling(500, 10)));
  EXPECT_FALSE(idle.due(2000, telling(500, 10)));
  EXPECT_TRUE(idle.due(2000 + IdleMemory::few_requests, telling(500, 10)));
}

TEST(IdleMemory, IsNotLookedAtWhileRequestsCome) {
  IdleMemory idle;
  int looks = 0;
  const auto looking = [&] {
    ++looks;
    return of(30, 10);
  };
  EXPECT_FALSE(idle.due(1000, looking));
  EXPECT_FALSE(idle.due(2000, looking));
  EXPECT_EQ(looks, 0);
  EXPECT_FALSE(idle.due(2000, looking));
  EXPECT_EQ(looks, 1);
}

TEST(IdleMemory, ThatCannotBeHadIsNotAskedForAgain) {
  IdleMemory idle;
  EXPECT_FALSE(idle.due(0, telling(30, 10)));
  EXPECT_TRUE(idle.due(0, telling(200, 10)));
  idle.given_back(of(190, 10));  // somebody's other than the allocator's
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(idle.due(0, telling(200, 10)));
  EXPECT_FALSE(idle.due(0, telling(100, 10)));
  EXPECT_TRUE(idle.due(0, telling(150, 10)));
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(ProcessMemory, IsSmallerOnceFreeMemoryWasGivenBack) {
  constexpr std::size_t pieces = 1024;
  constexpr std::size_t size = 64 * 1024;  // below what is mapped by itself
  std::vector<char*> held(pieces);
  for (char*& piece : held) {
    piece = static_cast<char*>(std::malloc(size));
    ASSERT_NE(piece, nullptr);
    std::memset(piece, 1, size);
  }
  const auto full = process_memory();
  char* const last = held.back();  // which keeps the heap's end where it is
  held.pop_back();
  for (char* piece : held) std::free(piece);
  const auto freed = process_memory();
  give_memory_back();
  const auto after = process_memory();
  EXPECT_GT(freed.unused() - full.unused(), static_cast<std::int64_t>(pieces * size / 2));
  EXPECT_LT(after.resident + pieces * size / 2, freed.resident);
  std::free(last);
}
#endif

}  // namespace
}  // namespace prowingen
