#include "core/log_channel.h"

namespace prowingen {
namespace {

constexpr std::size_t max_events = 10'000;
constexpr std::size_t max_line_bytes = 16 * 1024 * 1024;

}  // namespace

class LogChannel::Sink final : public LogSink {
 public:
  explicit Sink(std::shared_ptr<LogChannel> channel) : channel_(std::move(channel)) {}
  Delivered deliver(std::string_view lines, std::chrono::milliseconds patience,
                    bool last) override {
    return channel_->add_lines(lines, patience, last);
  }
  std::string description() const override { return "the access_log callable"; }

 private:
  std::shared_ptr<LogChannel> channel_;
};

std::shared_ptr<LogSink> LogChannel::sink(std::shared_ptr<LogChannel> channel) {
  return std::make_shared<Sink>(std::move(channel));
}

void LogChannel::add(Severity severity, std::string text) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || events_.size() > max_events) return;
    if (events_.size() == max_events) {
      severity = Severity::warning;
      text = "further log events were dropped: they came faster than they were taken";
    }
    events_.push_back({severity, std::move(text), false, {}});
  }
  changed_.notify_all();
}

void LogChannel::add_call(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    events_.push_back({Severity::info, {}, false, std::move(call)});
  }
  changed_.notify_all();
}

LogSink::Delivered LogChannel::add_lines(std::string_view lines, std::chrono::milliseconds patience,
                                         bool last) {
  {
    std::unique_lock lock(mutex_);
    const auto has_room = [&] { return closed_ || line_bytes_ < max_line_bytes; };
    if (!last && !changed_.wait_for(lock, patience, has_room)) return {};
    if (closed_) return {0, std::make_error_code(std::errc::broken_pipe)};
    line_bytes_ += lines.size();
    events_.push_back({Severity::info, std::string(lines), true, {}});
  }
  changed_.notify_all();
  return {lines.size(), {}};
}

bool LogChannel::take(std::deque<Event>& events, std::chrono::milliseconds patience) {
  events.clear();
  bool over = false;
  {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [this] { return closed_ || !events_.empty(); })) {
      return true;
    }
    events.swap(events_);
    over = closed_ && events.empty();
    line_bytes_ = 0;
  }
  changed_.notify_all();
  return !over;
}

void LogChannel::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace prowingen
