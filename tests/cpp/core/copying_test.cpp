#include "core/copying.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace prowingen {
namespace {

std::string text(std::size_t size) {
  std::string made;
  for (std::size_t i = 0; i < size; ++i) made.push_back(static_cast<char>(i * 31 + i / 251));
  return made;
}

const std::vector<std::size_t> sizes{
    0, 1, copied_at_once - 1, copied_at_once, copied_at_once + 1, 3 * copied_at_once, 65'539};

TEST(Copying, CopiesAllOfItAndNothingElse) {
  for (const std::size_t size : sizes) {
    const std::string from = text(size);
    std::vector<char> to(size + 2, '#');
    copy_octets(to.data() + 1, from);
    EXPECT_EQ(std::string(to.begin() + 1, to.end() - 1), from) << size;
    EXPECT_EQ(to.front(), '#');
    EXPECT_EQ(to.back(), '#');
  }
}

TEST(Copying, AppendsBehindWhatIsThere) {
  for (const std::size_t size : sizes) {
    std::string to = "before";
    append_octets(to, text(size));
    EXPECT_EQ(to, "before" + text(size)) << size;
  }
}

// Otherwise a body that comes in pieces would be copied as often as it has pieces.
TEST(Copying, GrowsByDoubling) {
  std::string to;
  std::size_t moves = 0;
  const std::string piece = text(copied_at_once + 1);
  for (int i = 0; i < 1000; ++i) {
    const auto capacity = to.capacity();
    append_octets(to, piece);
    moves += to.capacity() != capacity ? 1 : 0;
  }
  EXPECT_LT(moves, 15U);
}

}  // namespace
}  // namespace prowingen
