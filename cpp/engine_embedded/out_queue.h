// The bytes of a connection that wait for its socket: text the server wrote (heads, chunk framing,
// small bodies), bytes the application owns, ranges of files. I/O thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"

namespace prowingen::embedded {

class Channel;

class OutQueue {
 public:
  enum class Result : std::uint8_t { all_written, would_block, turn_over, file_too_short, failed };

  /// `spare`: a string whose capacity the thread's queues pass on, so that a small answer
  /// allocates nothing and an idle connection keeps nothing.
  explicit OutQueue(std::string& spare) : spare_(spare) {}

  /// The string to append text to. Valid until the next call that is not text().
  std::string& text();
  void add(Chunk chunk);

  bool empty() const { return first_ == segments_.size(); }
  std::uint64_t size() const;
  /// What it keeps in memory: not the files.
  std::uint64_t memory() const;
  /// Writes until everything is with the socket, it takes no more, or `written`, which counts the
  /// bytes, has reached `turn`: a client that reads as fast as this writes would never block it.
  Result write(Channel& channel, std::uint64_t& written, std::uint64_t turn);
  void clear();

 private:
  void consume(std::uint64_t bytes);
  void pop_front();

  std::string& spare_;
  std::vector<Chunk> segments_;
  std::size_t first_ = 0;         // segments before it are out
  std::size_t front_offset_ = 0;  // bytes of the first segment that are out, if it is text
};

}  // namespace prowingen::embedded
