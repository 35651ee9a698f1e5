// permessage-deflate (RFC 7692), by zlib.
//
//   takes over its context:  a deflater or an inflater of the connection's own, with a window
//   does not:                whichever is free, for one message
//
// A connection that takes nothing over keeps no memory between messages, and so ten thousand idle
// ones need none; that is what is agreed on unless the application wants otherwise.
#pragma once

#include <zlib.h>

#include <memory>
#include <string>
#include <string_view>

namespace prowingen::websocket {

/// Bits of windows, and what is kept from message to message: of the client (what it compresses)
/// and of the server.
struct Compression {
  bool agreed = false;
  int client_window = 15;
  int server_window = 15;
  bool client_keeps = false;
  bool server_keeps = false;
};

/// Compresses whole messages. One thread at a time.
class Deflater {
 public:
  /// `window`: 9 to 15. Throws std::bad_alloc.
  Deflater(int window, bool keeps);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  /// Without the four octets that RFC 7692 section 7.2.1 takes off.
  std::string compress(std::string_view message);
  /// What it takes, about, by zlib's own account.
  static constexpr std::size_t memory = std::size_t{268} * 1024;
  int window() const { return window_; }

 private:
  z_stream stream_{};
  const int window_;
  const bool keeps_;
};

/// Decompresses messages that come in pieces. One thread at a time.
class Inflater {
 public:
  Inflater(int window, bool keeps);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  enum class Outcome : std::uint8_t { ok, malformed, too_large };
  /// Appends what a piece of a message is, decompressed, as long as `out` is no longer than `most`.
  Outcome add(std::string_view piece, std::string& out, std::size_t most);
  /// The same with the message's end.
  Outcome finish(std::string& out, std::size_t most);
  /// Forgets what came before.
  void reset();
  /// What it takes, about: a window, and zlib's own.
  static constexpr std::size_t memory = std::size_t{44} * 1024;

 private:
  void begin_anew();

  z_stream stream_{};
  const bool keeps_;
  bool ended_ = false;  // the stream, by a last block, as some clients make one for each message
};

/// One that keeps nothing, of those that nobody uses just now. Any thread.
class InflaterLease {
 public:
  InflaterLease();
  ~InflaterLease();
  InflaterLease(const InflaterLease&) = delete;
  InflaterLease& operator=(const InflaterLease&) = delete;
  Inflater& get() { return *inflater_; }

 private:
  std::unique_ptr<Inflater> inflater_;
};

/// Compresses a message by itself, by this thread's deflater. Any thread.
std::string compress_alone(std::string_view message, int window);

}  // namespace prowingen::websocket
