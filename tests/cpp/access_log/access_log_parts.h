// What tests of the access log share: a sink under their control, folders, lines of one text.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access_log/access_log.h"

namespace prowingen::access_log_parts {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// A folder of its own for each test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "access_log_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// What the log reported; any thread.
class Reports {
 public:
  AccessLog::Report taker() {
    return [this](std::string text) {
      const std::lock_guard lock(mutex_);
      texts_.push_back(std::move(text));
      changed_.notify_all();
    };
  }
  /// Waits for the first one.
  std::string first() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !texts_.empty(); });
    return texts_.front();
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return texts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
};

/// A sink that takes nothing until told to, or fails as told to.
class GatedSink final : public LogSink {
 public:
  Delivered deliver(std::string_view lines, milliseconds patience, bool /*last*/) override {
    std::unique_lock lock(mutex_);
    ++calls_;
    changed_.notify_all();
    if (!changed_.wait_for(lock, patience, [&] { return open_; })) return {};
    if (error_) {
      const std::size_t taken = std::min(taken_before_error_, lines.size());
      text_ += lines.substr(0, taken);
      return {taken, error_};
    }
    text_ += lines;
    changed_.notify_all();
    return {lines.size(), {}};
  }
  std::string description() const override { return "gate"; }

  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void fail(std::errc error, std::size_t taken_before) {
    const std::lock_guard lock(mutex_);
    error_ = std::make_error_code(error);
    taken_before_error_ = taken_before;
  }
  void recover() {
    const std::lock_guard lock(mutex_);
    error_ = {};
  }
  void await_call() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_ > 0; });
  }
  void await_text(std::string_view text) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return text_ == text; });
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::error_code error_;
  std::size_t taken_before_error_ = 0;
  int calls_ = 0;
  bool open_ = false;
};

/// Logs a line that is `text`.
inline void write_line(AccessLog& log, const std::string& text) {
  AccessRecord record;
  record.scheme = text;
  log.write(record);
}

inline AccessLogFormat text_only() { return AccessLogFormat::compile("%{scheme}x"); }

inline AccessLogLimits limits_with(std::size_t buffer, milliseconds grace) {
  AccessLogLimits limits;
  limits.buffer_limit = buffer;
  limits.grace = grace;
  return limits;
}

}  // namespace prowingen::access_log_parts
