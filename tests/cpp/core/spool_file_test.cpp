// Bodies on the disk: order, the bound of all together, what a failure leaves, and that nothing
// stays.
#include "core/spool_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/chunk.h"
#include "core/stored_body.h"

namespace prowingen {
namespace {

namespace fs = std::filesystem;

// Bytes in which a piece that is lost, doubled or out of place shows.
std::string pattern(std::size_t size) {
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i) text += std::to_string(i) + ",";
  text.resize(size);
  return text;
}

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    std::string name = (fs::temp_directory_path() / "spool-test-XXXXXX").string();
    directory = ::mkdtemp(name.data());
  }
  ~SpoolTest() override { fs::remove_all(directory); }

  std::shared_ptr<Spool> make_spool(std::uint64_t limit = 0) {
    return std::make_shared<Spool>(directory, limit,
                                   [this](std::string line) { lines.push_back(std::move(line)); });
  }

  static std::string take_all(StoredBody& body) {
    std::string all;
    std::string block;
    while (!body.empty()) {
      EXPECT_FALSE(body.take(block));
      body.release_file();
      EXPECT_FALSE(block.empty());
      all += block;
    }
    return all;
  }

  std::string directory;
  std::vector<std::string> lines;
};

// Lets no file of this process grow beyond a size, and the signal that comes with that be none.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t size) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{size, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(SpoolTest, SmallBodiesMakeNoFile) {
  const auto spool = make_spool();
  StoredBody body;
  const auto text = pattern(StoredBody::memory_bound);
  EXPECT_FALSE(body.add(text.substr(0, 10), spool));
  EXPECT_FALSE(body.add(text.substr(10), spool));
  EXPECT_EQ(spool->files(), 0U);
  EXPECT_FALSE(body.next_is_in_file());
  EXPECT_EQ(take_all(body), text);
}

TEST_F(SpoolTest, BodiesOfUsualSizeMakeNoFileWhileThereIsAShare) {
  const auto spool = make_spool();
  MemoryBudget budget(std::uint64_t{4} << 30);
  const auto text = pattern(StoredBody::whole_bound);
  const auto fill = [&](StoredBody& body) {
    for (std::size_t at = 0; at < text.size(); at += 60'000) {
      ASSERT_FALSE(body.add(std::string_view(text).substr(at, 60'000), spool));
    }
  };
  std::vector<StoredBody> bodies;
  for (std::uint64_t held = 0; spool->files() == 0; held += StoredBody::whole_bound) {
    ASSERT_LE(held, 2 * MemoryBudget::body_share);
    fill(bodies.emplace_back(&budget));
  }
  EXPECT_LE(bodies.back().memory(), 2 * StoredBody::memory_bound);
  for (auto& body : bodies) EXPECT_TRUE(take_all(body) == text);
  StoredBody next(&budget);
  fill(next);
  EXPECT_EQ(spool->files(), 1U) << "what is taken is given back";
  EXPECT_FALSE(next.add("x", spool));
  EXPECT_TRUE(next.next_is_in_file()) << "no body has more than its bound";
  EXPECT_TRUE(take_all(next) == text + "x");
}

TEST_F(SpoolTest, PiecesOfAnySizeComeBackInOrder) {
  const auto text = pattern(3'000'000);
  for (const std::size_t size : {1'000U, 4'000U, 65'536U, 65'537U, 200'000U, 3'000'000U}) {
    const auto spool = make_spool();
    StoredBody body;
    for (std::size_t at = 0; at < text.size(); at += size) {
      ASSERT_FALSE(body.add(std::string_view(text).substr(at, size), spool));
      ASSERT_LE(body.memory(), 2 * StoredBody::memory_bound);
    }
    EXPECT_EQ(body.size(), text.size());
    EXPECT_EQ(spool->files(), 1U);
    EXPECT_TRUE(take_all(body) == text) << "in pieces of " << size;
    EXPECT_EQ(spool->bytes(), 0U) << "the room is given back once all is taken";
  }
}

TEST_F(SpoolTest, FilesHaveNoNameAndEndWithTheirBody) {
  const auto spool = make_spool();
  {
    StoredBody body;
    ASSERT_FALSE(body.add(pattern(100'000), spool));
    EXPECT_TRUE(fs::is_empty(directory));
    EXPECT_EQ(spool->bytes(), 100'000U);
  }
  EXPECT_EQ(spool->bytes(), 0U);
}

TEST_F(SpoolTest, ClearedBodyIsAsGoodAsNew) {
  const auto spool = make_spool();
  StoredBody body;
  ASSERT_FALSE(body.add(pattern(100'000), spool));
  ASSERT_FALSE(body.add("tail", spool));
  body.clear(16);
  EXPECT_TRUE(body.empty());
  EXPECT_EQ(body.size(), 0U);
  EXPECT_LE(body.memory(), 16U);
  EXPECT_EQ(spool->bytes(), 0U);
  ASSERT_FALSE(body.add("new", spool));
  EXPECT_EQ(take_all(body), "new");
}

TEST_F(SpoolTest, AllFilesTogetherAreBounded) {
  const auto spool = make_spool(250'000);
  StoredBody first;
  StoredBody second;
  const auto text = pattern(100'000);
  ASSERT_FALSE(first.add(text, spool));
  ASSERT_FALSE(second.add(text, spool));
  EXPECT_TRUE(second.add(text, spool));
  EXPECT_EQ(spool->bytes(), 200'000U) << "what was refused takes no room";
  EXPECT_EQ(take_all(second), text) << "what came before is still there";
  EXPECT_FALSE(first.add(text, spool)) << "and makes room when it is gone";
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("max_spool"), std::string::npos) << lines[0];
}

TEST_F(SpoolTest, FailedWriteLeavesWhatWasThere) {
  const auto spool = make_spool();
  StoredBody body;
  const auto text = pattern(100'000);
  ASSERT_FALSE(body.add(text, spool));
  ASSERT_FALSE(body.add("tail", spool));
  {
    const FileSizeLimit limit(150'000);  // the write is cut in its middle, then fails
    EXPECT_TRUE(body.add(text, spool));
  }
  EXPECT_EQ(spool->bytes(), 100'000U);
  EXPECT_EQ(body.size(), 100'004U);
  EXPECT_FALSE(body.add(text, spool)) << "over what the failed write has left";
  EXPECT_TRUE(take_all(body) == text + "tail" + text);
}

TEST_F(SpoolTest, FailureOfTheFirstWriteKeepsMemory) {
  const auto spool = make_spool();
  StoredBody body;
  ASSERT_FALSE(body.add("head", spool));
  const auto text = pattern(100'000);
  fs::remove_all(directory);
  EXPECT_TRUE(body.add(text, spool));
  EXPECT_FALSE(body.next_is_in_file());
  body.add_to_memory(text);
  EXPECT_TRUE(take_all(body) == "head" + text);
}

TEST_F(SpoolTest, ComplaintsDoNotFloodTheLog) {
  const auto spool = make_spool();
  for (int i = 0; i < 100; ++i)
    spool->complain(std::make_error_code(std::errc::no_space_on_device));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find(directory), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("No space left on device"), std::string::npos) << lines[0];
}

TEST_F(SpoolTest, DirectoryThatCannotBeUsedIsNamed) {
  const auto nowhere = directory + "/nowhere";
  try {
    const Spool spool(nowhere, 0, {});
    FAIL() << "it was taken";
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    EXPECT_TRUE(text.starts_with("spool_dir: \"" + nowhere + "\": No such file")) << text;
  }
}

TEST_F(SpoolTest, FilesAreNotAChilds) {
  const auto spool = make_spool();
  auto file = std::make_unique<SpoolFile>(spool);
  UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = next.get();
  const UniqueFd other(::fcntl(number, F_DUPFD_CLOEXEC, number + 1));
  next.reset();
  EXPECT_FALSE(file->append("text", ""));  // under that number
  const auto child = ::fork();
  if (child == 0) {
    const bool closed = ::fcntl(number, F_GETFD) == -1;
    const bool reused = ::fcntl(other.get(), F_DUPFD_CLOEXEC, number) == number;
    file.reset();
    ::_exit(closed && reused && ::fcntl(number, F_GETFD) != -1 ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(child, ::waitpid(child, &status, 0));
  EXPECT_EQ(status, 0);
  std::string block(4, ' ');
  EXPECT_FALSE(file->read(0, block));
  EXPECT_EQ(block, "text");
}

TEST_F(SpoolTest, RelativeDirectoryStaysWhereItWas) {
  const auto before = fs::current_path();
  fs::current_path(directory);
  fs::create_directory("inside");
  const auto spool = std::make_shared<Spool>("inside", 0, [](const std::string&) {});
  fs::current_path(before);
  StoredBody body;
  EXPECT_FALSE(body.add(pattern(100'000), spool));
}

TEST_F(SpoolTest, SystemsDirectoryIsFoundWithoutAName) {
  EXPECT_NE(Spool("", 0, {}).directory(), "");
}

}  // namespace
}  // namespace prowingen
