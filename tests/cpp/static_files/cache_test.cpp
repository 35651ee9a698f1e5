#include "static_files/cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

namespace prowingen::static_files {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<const File> file_of(std::size_t size) {
  auto file = std::make_shared<File>();
  file->representations.emplace_back().content.assign(size, 'x');
  return file;
}

struct Loads {
  int count = 0;
  std::shared_ptr<const File> before;

  auto giving(std::shared_ptr<const File> file) {
    return [this, file](const std::shared_ptr<const File>& known) {
      ++count;
      before = known;
      return Loaded{.file = file};
    };
  }
};

TEST(Cache, BelievesForASecondAndThenLooksAgain) {
  Cache cache({});
  Loads loads;
  const auto file = file_of(10);
  const Cache::Time start{1h};
  EXPECT_EQ(cache.find("a", start, loads.giving(file)).file, file);
  EXPECT_EQ(cache.find("a", start + 900ms, loads.giving(nullptr)).file, file);
  EXPECT_EQ(loads.count, 1);
  EXPECT_EQ(cache.find("a", start + 2s, loads.giving(nullptr)).file, nullptr);
  EXPECT_EQ(loads.before, file) << "what it was can be compared";
  EXPECT_EQ(cache.find("a", start + 2500ms, loads.giving(file)).file, nullptr)
      << "that there is none is remembered, too";
  EXPECT_EQ(loads.count, 2);
}

TEST(Cache, AShortageSaysNothingOfTheFile) {
  Cache cache({});
  Loads loads;
  const auto file = file_of(10);
  const Cache::Time start{1h};
  const auto fail = [](int error) {
    return [error](const std::shared_ptr<const File>&) { return Loaded{.error = error}; };
  };
  cache.find("a", start, loads.giving(file));
  for (const int error : {EMFILE, ENFILE}) {
    EXPECT_EQ(cache.find("a", start + 2s, fail(error)).error, error);
  }
  EXPECT_EQ(cache.find("a", start + 2s, loads.giving(file)).file, file);
  EXPECT_EQ(loads.before, file) << "it is still known";

  cache.find("b", start, fail(EACCES));
  EXPECT_EQ(cache.find("b", start, loads.giving(file)).error, EACCES) << "others are remembered";
}

TEST(Cache, WhatWasAskedForLongestAgoGoesFirst) {
  Cache cache({.entries = 2});
  Loads loads;
  const Cache::Time now{1h};
  const auto file = file_of(1);
  for (const char* path : {"a", "b", "a", "c", "a"}) cache.find(path, now, loads.giving(file));
  EXPECT_EQ(loads.count, 3);
  cache.find("b", now, loads.giving(file));
  EXPECT_EQ(loads.count, 4);
}

TEST(Cache, IsBoundedInMemoryAndDescriptors) {
  Loads loads;
  const Cache::Time now{1h};
  Cache small({.memory = 10'000});
  for (int i = 0; i < 100; ++i) {
    small.find(std::to_string(i % 2), now, loads.giving(file_of(6'000)));
  }
  EXPECT_EQ(loads.count, 100) << "one at a time has room";

  Cache few({.descriptors = 2});
  const auto open = std::make_shared<File>();
  open->representations.emplace_back().file = std::make_shared<const UniqueFd>();
  loads.count = 0;
  for (int i = 0; i < 30; ++i) few.find(std::to_string(i % 3), now, loads.giving(open));
  EXPECT_EQ(loads.count, 30);
}

TEST(Cache, IsOfAllThreads) {
  Cache cache({.entries = 8, .believed = 0ms});
  const auto file = file_of(100);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        const auto found = cache.find(std::to_string(i % 16), Cache::Time(1h),
                                      [&](const auto&) { return Loaded{.file = file}; });
        if (found.file != file) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace prowingen::static_files
