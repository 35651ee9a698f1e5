// Where the lines of a log are delivered: a file, a pipe, or a Python callable behind a LogChannel.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace prowingen {

/// Where batches of lines go. One thread makes all the calls.
class LogSink {
 public:
  struct Delivered {
    std::size_t bytes = 0;  // taken from the front; fewer than offered: the reader is slow
    std::error_code error;  // set: the rest cannot be delivered
  };

  virtual ~LogSink() = default;
  /// Takes lines, each ending in a newline, and waits for a slow reader for at most `patience`.
  /// `last` says that the log is stopping: a sink with a bound of its own goes beyond it.
  virtual Delivered deliver(std::string_view lines, std::chrono::milliseconds patience,
                            bool last) = 0;
  /// Opens its file anew, so that lines go to whatever has the path now.
  virtual std::error_code reopen() { return {}; }
  /// No more lines will come.
  virtual void close() {}
  /// What to call it in a message, as the user would write it.
  virtual std::string description() const = 0;
};

}  // namespace prowingen
