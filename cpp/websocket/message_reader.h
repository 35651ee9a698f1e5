// Messages from frames (RFC 6455 sections 5.4 to 5.6): what is fragmented is put together, what is
// compressed is made plain, text is looked at as it comes, and whoever breaks a rule is told which.
//
//   between --text, binary--> within --continuation with FIN--> between
//
// Control frames may stand anywhere. After a close frame nothing is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "websocket/compression.h"
#include "websocket/frame_reader.h"
#include "websocket/protocol.h"
#include "websocket/utf8.h"

namespace prowingen::websocket {

struct Message {
  bool is_text = false;
  std::string data;  // UTF-8 if it is text
};

/// Who is told of what has come.
class MessageSink {
 public:
  /// False: no more for now; read() returns, and what is left can be given to it again.
  virtual bool on_message(Message message) = 0;
  virtual void on_ping(std::string_view payload) = 0;
  virtual void on_pong() = 0;
  virtual void on_close(Close close) = 0;

 protected:
  ~MessageSink() = default;
};

class MessageReader {
 public:
  /// `most`: octets of a message, decompressed.
  MessageReader(std::size_t most, const Compression& compression)
      : most_(most), compression_(compression) {}

  /// Takes what it can off the front of `bytes`, and tells `sink`. What it returns is why the
  /// connection is to be failed.
  std::optional<Close> read(std::string_view& bytes, MessageSink& sink);
  /// What it keeps of a message that is not whole.
  std::size_t memory() const {
    return message_.data.capacity() + (lease_ || kept_ ? Inflater::memory : 0);
  }

 private:
  enum class State : std::uint8_t { between, within, closed };

  std::optional<Close> begin_frame();
  std::optional<Close> add();
  std::optional<Close> end_message();
  std::optional<Close> end_close(MessageSink& sink) const;
  std::optional<Close> check_text(std::size_t from);
  Inflater& inflater();

  const std::size_t most_;
  const Compression compression_;
  FrameReader frames_;
  State state_ = State::between;
  bool compressed_ = false;
  Message message_;
  Utf8Check utf8_;
  std::string control_;
  std::unique_ptr<InflaterLease> lease_;  // for one message
  std::unique_ptr<Inflater> kept_;        // for all of them
};

}  // namespace prowingen::websocket
