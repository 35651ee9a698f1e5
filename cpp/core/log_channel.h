// Native log events on their way to Python: any thread adds them, one Python thread takes them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "core/engine.h"
#include "core/log_sink.h"

namespace prowingen {

class LogChannel {
 public:
  struct Event {
    Severity severity = Severity::info;
    std::string text;
    bool access_lines = false;   // text is access-log lines, each with its newline
    std::function<void()> call;  // in place of a text: what takes Python to be done
  };

  /// Any thread; never blocks. A flood of events is cut, and the cut is an event.
  void add(Severity severity, std::string text);
  /// Has something done by the taker, in turn. Any thread; never blocks.
  void add_call(std::function<void()> call);
  /// Takes what has gathered, waiting for something; nothing after `patience`. False: closed and
  /// empty.
  bool take(std::deque<Event>& events, std::chrono::milliseconds patience);
  /// Nothing is added any more; what is there can still be taken. Any thread.
  void close();

  /// A sink that puts access-log lines on the channel, and waits for a slow taker. Once the
  /// channel is closed its lines are lost with `broken_pipe`.
  static std::shared_ptr<LogSink> sink(std::shared_ptr<LogChannel> channel);

 private:
  class Sink;

  LogSink::Delivered add_lines(std::string_view lines, std::chrono::milliseconds patience,
                               bool last);

  std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::deque<Event> events_;
  std::size_t line_bytes_ = 0;
  bool closed_ = false;
};

}  // namespace prowingen
