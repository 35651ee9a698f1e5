// What fuzzers have found worth keeping, see tests/fuzz: each file of it goes through the function
// that they call, which throws when something does not hold.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "targets.h"

namespace prowingen::fuzz {
namespace {

void feed(const char* target, void (*entry)(std::string_view)) {
  std::size_t files = 0;
  const auto folder = std::filesystem::path(PROWINGEN_FUZZ_CORPUS) / target;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream opened(file.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(opened), {});
    EXPECT_NO_THROW(entry(bytes)) << file.path();
    ++files;
  }
  EXPECT_GT(files, 10U) << folder;
}

TEST(FuzzCorpus, OfConnections) { feed("connections", connections); }
TEST(FuzzCorpus, OfHttp2Frames) { feed("http2_frames", http2_frames); }
TEST(FuzzCorpus, OfHttp1Requests) { feed("http1_requests", http1_requests); }

}  // namespace
}  // namespace prowingen::fuzz
