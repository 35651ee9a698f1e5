#include "access_log/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <optional>
#include <utility>

#include "core/chunk.h"
#include "core/forks.h"
#include "core/signals.h"

namespace prowingen {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How often a writer that waits for a slow reader looks up, to report losses and to see a stop.
constexpr milliseconds patience{100};

// What a thread renders into is kept, unless one huge request line made it grow beyond this.
constexpr std::size_t kept_line_capacity = std::size_t{64} << 10;

std::error_code last_error() { return {errno, std::generic_category()}; }

/// Appends to a descriptor. Each write to a pipe, a terminal or a socket is at most PIPE_BUF bytes
/// long, ends with a line and is polled for first: the lines of several processes then stay whole
/// (POSIX write(), pipes), and a reader that has stopped reading cannot hold the thread.
class DescriptorSink final : public LogSink {
 public:
  DescriptorSink(UniqueFd fd, std::string path) : path_(std::move(path)) { use(std::move(fd)); }

  Delivered deliver(std::string_view lines, milliseconds patience_left, bool /*last*/) override {
    const auto deadline = steady_clock::now() + patience_left;
    Delivered done;
    while (done.bytes < lines.size()) {
      std::string_view part = lines.substr(done.bytes);
      if (!regular_file_) {
        if (!writable_until(deadline)) break;
        part = part.substr(0, whole_lines(part));
      }
      const ssize_t written = ::write(fd_.get(), part.data(), part.size());
      if (written >= 0) {
        done.bytes += static_cast<std::size_t>(written);
      } else if (errno != EINTR && errno != EAGAIN) {
        done.error = last_error();
        break;
      }
    }
    return done;
  }

  std::error_code reopen() override {
    if (path_.empty()) return {};
    UniqueFd fd = open(path_);
    if (!fd) return last_error();
    use(std::move(fd));
    return {};
  }

  std::string description() const override {
    return path_.empty() ? "to stdout" : "\"" + path_ + "\"";
  }

  /// O_NONBLOCK: a named pipe without a reader is an error, and must not hang the start.
  static UniqueFd open(const std::string& path) {
    return UniqueFd(::open(path.c_str(),
                           O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                           S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH));
  }

 private:
  // A child that the application forks would keep the space of a log that is rotated and removed,
  // and the reader of a pipe waiting for its end.
  void use(UniqueFd fd) {
    kept_.reset();
    fd_ = std::move(fd);
    kept_.emplace(fd_.get());
    struct stat status {};
    regular_file_ = ::fstat(fd_.get(), &status) == 0 && S_ISREG(status.st_mode);
  }

  bool writable_until(steady_clock::time_point deadline) const {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left.count() < 0) return false;
    pollfd wanted{fd_.get(), POLLOUT, 0};
    return ::poll(&wanted, 1, static_cast<int>(left.count())) > 0;
  }

  static std::size_t whole_lines(std::string_view lines) {
    if (lines.size() <= PIPE_BUF) return lines.size();
    const std::size_t end = lines.rfind('\n', PIPE_BUF - 1);
    return end == std::string_view::npos ? PIPE_BUF : end + 1;
  }

  UniqueFd fd_;
  std::optional<KeptFromChildren> kept_;
  const std::string path_;  // empty: not ours to reopen
  bool regular_file_ = false;
};

}  // namespace

std::shared_ptr<LogSink> log_to_file(std::string path) {
  UniqueFd fd = DescriptorSink::open(path);
  if (!fd) throw std::system_error(last_error(), "access log: cannot open \"" + path + "\"");
  return std::make_shared<DescriptorSink>(std::move(fd), std::move(path));
}

std::shared_ptr<LogSink> log_to_stdout() {
  UniqueFd fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!fd) throw std::system_error(last_error(), "access log: cannot write to stdout");
  return std::make_shared<DescriptorSink>(std::move(fd), std::string());
}

// --- AccessLog -----------------------------------------------------------------------------------

AccessLog::AccessLog(AccessLogFormat format, std::shared_ptr<LogSink> sink, Report report,
                     AccessLogLimits limits)
    : format_(std::move(format)),
      sink_(std::move(sink)),
      report_(report ? std::move(report) : [](const std::string&) {}),
      limits_(limits) {
  // All of it at once: growing would copy megabytes under the lock. Untouched pages cost nothing.
  pending_.reserve(limits_.buffer_limit);
  const BlockedSignals blocked;  // SIGPIPE among them: a reader that left is EPIPE in the writer
  writer_ = std::thread(&AccessLog::run, this);
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    give_up_ = steady_clock::now() + limits_.grace;
  }
  wake_.notify_one();
  writer_.join();
}

void AccessLog::write(const AccessRecord& record) {
  thread_local std::string line;
  line.clear();
  format_.render(record, line);
  line += '\n';

  bool notify = false;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t before = pending_.size();
    if (before + line.size() > limits_.buffer_limit) {
      ++losses_.dropped;
      return;
    }
    pending_ += line;
    notify = writer_state_ == Writer::idle
                 ? before == 0
                 : writer_state_ == Writer::gathering && before < limits_.wake_threshold &&
                       pending_.size() >= limits_.wake_threshold;
  }
  if (notify) wake_.notify_one();
  if (line.capacity() > kept_line_capacity) line = std::string();
}

bool AccessLog::order(bool reopen) {
  std::unique_lock lock(mutex_);
  reopen_wanted_ = reopen_wanted_ || reopen;
  const std::uint64_t ours = ++orders_given_;
  wake_.notify_one();
  return order_done_.wait_for(lock, limits_.grace, [&] { return orders_done_ >= ours; });
}

std::uint64_t AccessLog::lines_lost() const {
  const std::lock_guard lock(mutex_);
  return losses_.dropped + losses_.failed;
}

// --- The writer thread ---------------------------------------------------------------------------

void AccessLog::run() {
  std::string batch;
  batch.reserve(limits_.buffer_limit);
  bool last = false;
  while (!last) {
    std::unique_lock lock(mutex_);
    await_work(lock);
    writer_state_ = Writer::delivering;
    batch.swap(pending_);
    const std::uint64_t orders = orders_given_;
    const bool reopen = std::exchange(reopen_wanted_, false);
    last = stopping_;
    lock.unlock();

    deliver(batch);
    batch.clear();
    if (reopen) reopen_sink();
    report_losses(last);

    lock.lock();
    orders_done_ = orders;
    order_done_.notify_all();
  }
  sink_->close();
}

void AccessLog::await_work(std::unique_lock<std::mutex>& lock) {
  const auto work = [&] { return !pending_.empty() || called(); };
  writer_state_ = Writer::idle;
  if (losses_ == reported_) {
    wake_.wait(lock, work);
  } else if (!wake_.wait_until(lock, next_report_, work)) {
    return;
  }
  writer_state_ = Writer::gathering;
  wake_.wait_for(lock, limits_.max_delay,
                 [&] { return pending_.size() >= limits_.wake_threshold || called(); });
}

void AccessLog::deliver(std::string_view batch) {
  if (torn_line_ && !batch.empty()) {
    torn_line_ = sink_->deliver("\n", patience, false).bytes == 0;
  }
  std::string_view rest = batch;
  while (!rest.empty()) {
    bool last = false;
    bool too_late = false;
    {
      const std::lock_guard lock(mutex_);
      last = stopping_;
      too_late = stopping_ && steady_clock::now() >= give_up_;
    }
    const auto [bytes, error] = sink_->deliver(rest, patience, last);
    if (bytes > 0) torn_line_ = rest[bytes - 1] != '\n';
    rest.remove_prefix(bytes);
    if (error) return lose(rest, error.message());
    if (too_late) return lose(rest, "its reader did not read them while the server stopped");
    report_losses(false);
  }
}

void AccessLog::reopen_sink() {
  if (const std::error_code error = sink_->reopen()) {
    report_("access log " + sink_->description() + ": cannot reopen it: " + error.message() +
            "; lines still go to the file opened before");
  } else {
    torn_line_ = false;
  }
}

void AccessLog::lose(std::string_view lines, std::string why) {
  failure_ = std::move(why);
  const std::lock_guard lock(mutex_);
  losses_.failed += static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
}

void AccessLog::report_losses(bool now) {
  Losses losses;
  {
    const std::lock_guard lock(mutex_);
    losses = losses_;
  }
  const auto time = steady_clock::now();
  if (losses == reported_ || (!now && time < next_report_)) return;
  std::string message = "access log " + sink_->description() + ": ";
  if (const auto dropped = losses.dropped - reported_.dropped; dropped > 0) {
    message += std::to_string(dropped) + " lines dropped: it takes them too slowly";
  }
  if (const auto failed = losses.failed - reported_.failed; failed > 0) {
    if (!message.ends_with(": ")) message += "; ";
    message += std::to_string(failed) + " lines lost: " + failure_;
  }
  reported_ = losses;
  next_report_ = time + limits_.report_interval;
  report_(std::move(message));
}

}  // namespace prowingen
