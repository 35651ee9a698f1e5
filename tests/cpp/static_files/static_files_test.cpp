// Which requests are answered at once, and in what order the others go on.
#include "static_files/static_files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "core/exchange.h"
#include "no_transport.h"

namespace prowingen::static_files {
namespace {

// Takes as many as it has room for.
struct Workers final : RequestSink {
  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override {
    const auto taken = std::min(exchanges.size(), room);
    room -= taken;
    for (const auto& each : exchanges.first(taken)) targets.append(each->request.target());
    targets += ';';
    return taken;
  }
  std::chrono::nanoseconds backlog() const override { return std::chrono::nanoseconds(42); }

  std::size_t room = 100;
  std::string targets;
};

class StaticFilesTest : public testing::Test {
 protected:
  StaticFilesTest() {
    std::string pattern = testing::TempDir() + "static_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    std::ofstream(folder_ + "/file") << "content";
    rules_.mounts.push_back({"/s", Folder(folder_)});
    files_ = std::make_unique<StaticFiles>(
        rules_, workers_, [this](Severity, std::string text) { said_.push_back(std::move(text)); });
  }
  ~StaticFilesTest() override { std::filesystem::remove_all(folder_); }

  std::size_t submit(std::initializer_list<const char*> targets) {
    exchanges_.clear();
    for (const char* target : targets) {
      auto exchange = std::make_shared<Exchange>(transport_);
      exchange->request.set_request_line("GET", target, {1, 1});
      exchange->peer = std::make_shared<ConnectionInfo>();
      exchanges_.push_back(std::move(exchange));
    }
    return files_->submit(exchanges_);
  }
  bool answered(std::size_t at) const { return exchanges_[at]->state() == ExchangeState::finished; }

  NoTransport transport_;
  Workers workers_;
  std::string folder_;
  StaticFiles::Rules rules_;
  std::unique_ptr<StaticFiles> files_;
  std::vector<std::string> said_;
  std::vector<std::shared_ptr<Exchange>> exchanges_;
};

TEST_F(StaticFilesTest, OthersGoOnInTheirOrderAndInOneCallWhereTheyCan) {
  EXPECT_EQ(submit({"/1", "/2", "/s/file", "/3", "/s/none", "/s/file", "/s/file"}), 7U);
  EXPECT_EQ(workers_.targets, "/1/2;/3/s/none;");
  EXPECT_TRUE(answered(2) && answered(5) && answered(6));
  EXPECT_FALSE(answered(0) || answered(3) || answered(4));
  EXPECT_EQ(files_->answered(), 3U);
}

TEST_F(StaticFilesTest, BehindOneThatFindsNoRoomFilesAreAnsweredStill) {
  workers_.room = 1;
  EXPECT_EQ(submit({"/s/file", "/1", "/2", "/s/file", "/3"}), 2U);
  EXPECT_TRUE(answered(0) && answered(3));
  EXPECT_EQ(exchanges_[2]->state(), ExchangeState::receiving) << "the engine refuses it";
  EXPECT_EQ(exchanges_[4]->state(), ExchangeState::receiving);
}

TEST_F(StaticFilesTest, WhatIsNotAboutAFileGoesOn) {
  submit({"/s/file"});
  auto exchange = std::make_shared<Exchange>(transport_);
  exchange->request.set_request_line("GET", "/s/file", {1, 1});
  exchange->peer = std::make_shared<ConnectionInfo>();
  exchange->has_body = true;
  EXPECT_EQ(files_->submit({&exchange, 1}), 1U);
  exchange->has_body = false;
  exchange->may_upgrade = true;
  EXPECT_EQ(files_->submit({&exchange, 1}), 1U);
  EXPECT_EQ(workers_.targets, "/s/file;/s/file;");
  EXPECT_EQ(files_->backlog().count(), 42);
}

TEST_F(StaticFilesTest, AFolderThatVanishesIsToldEachTimeThatItGoes) {
  const std::string away = folder_ + ".away";
  // Each of a name of its own: what was found at a path is believed for a second.
  submit({"/s/file", "/s/none"});
  EXPECT_TRUE(said_.empty()) << said_.front();

  std::filesystem::rename(folder_, away);
  submit({"/s/1", "/s/2", "/s/"});
  ASSERT_EQ(said_.size(), 1U);
  EXPECT_NE(said_[0].find("the folder \"" + folder_ + "\" is gone"), std::string::npos);
  EXPECT_TRUE(workers_.targets.ends_with("/s/1/s/2/s/;")) << workers_.targets;

  std::filesystem::rename(away, folder_);
  submit({"/s/3", "/s/4"});
  EXPECT_EQ(said_.size(), 1U);

  std::filesystem::rename(folder_, away);
  std::ofstream(folder_) << "a file in its place";
  submit({"/s/5", "/s/6"});
  EXPECT_EQ(said_.size(), 2U);
  std::filesystem::remove(folder_);
  std::filesystem::rename(away, folder_);
}

TEST_F(StaticFilesTest, AProxysPrefixIsNoPartOfThePath) {
  ForwardedTarget forwarded;
  forwarded.prefix = "/app";
  auto peer = std::make_shared<ConnectionInfo>();
  peer->forwarded = std::make_shared<ForwardedTarget>(forwarded);
  for (const char* target : {"/app/s/file", "/s/file"}) {
    auto exchange = std::make_shared<Exchange>(transport_);
    exchange->request.set_request_line("GET", target, {1, 1});
    exchange->peer = peer;
    files_->submit({&exchange, 1});
    EXPECT_EQ(exchange->state(), ExchangeState::finished) << target;
  }
}

}  // namespace
}  // namespace prowingen::static_files
