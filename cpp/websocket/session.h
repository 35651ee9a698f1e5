// One WebSocket: an exchange whose answer is out, read and written as messages (RFC 6455).
//
//   open --close()--> closing --the peer's close, its end, too late--> closed
//     |                                                                 ^
//     +--the peer's close, its end, a rule that it breaks---------------+
//
// What ends it comes after what came before: an application that has not had all of that yet is
// given a moment to answer it.
//
// Whoever brings the client's bytes, an I/O thread, reads frames from them on the spot, without a
// thread of the application's: pings are answered, closes are returned, and what is malformed ends
// it. Messages wait in an inbox for who asks for them; while that is full nothing more is read, so
// that the client has to wait. So a WebSocket that is idle holds no thread, and hardly any memory.
//
// What goes out is one push of a whole frame each: pings may come between, from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"
#include "core/exchange.h"
#include "websocket/compression.h"
#include "websocket/message_reader.h"
#include "websocket/protocol.h"
#include "websocket/sessions.h"

namespace prowingen::websocket {

/// What an application wants of one.
struct Rules {
  std::size_t max_message = std::size_t{1} << 20;  // octets, decompressed
  std::size_t max_queue = std::size_t{1} << 20;    // octets that wait to be sent
  /// Who sends more than that waits; else the WebSocket is closed.
  bool waits = true;
  std::chrono::nanoseconds ping_interval = std::chrono::seconds(20);  // 0: none
  std::chrono::nanoseconds ping_timeout = std::chrono::seconds(20);   // 0: for ever
  std::chrono::nanoseconds close_timeout = std::chrono::seconds(10);
  Compression compression;
};

/// Told of the begin, and that the inbox has something: once until it was found empty. Any thread,
/// as an ExchangeWatcher.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual void on_news() = 0;
};

/// A message as a frame that goes to many.
class SharedMessage {
 public:
  SharedMessage(Opcode opcode, std::string payload);
  /// In the form that this connection takes; null: it has a context of its own.
  std::shared_ptr<const std::string> frame_for(const Compression& compression) const;
  Opcode opcode() const { return opcode_; }
  std::string_view payload() const { return payload_; }

 private:
  const Opcode opcode_;
  const std::string payload_;
  const std::shared_ptr<const std::string> plain_;
  mutable std::mutex mutex_;
  mutable std::vector<std::pair<int, std::shared_ptr<const std::string>>> compressed_;  // by window
};

class Session final : public ExchangeWatcher,
                      public std::enable_shared_from_this<Session>,
                      private MessageSink {
 public:
  /// `exchange`: whose answer of status 101 is pushed. `sessions` outlives it.
  Session(std::shared_ptr<Exchange> exchange, const Rules& rules, Sessions& sessions);
  ~Session() override;

  /// From now on it reads. `reader`: who is told of what comes; null: nobody, it is waited for.
  void begin(std::weak_ptr<Reader> reader);

  // ---- any thread of the application's
  enum class Received : std::uint8_t { message, closed, timed_out };
  /// The next message; waits until then, or for ever. `closed`: there are no more.
  Received receive(Message& out, std::optional<SteadyTime> until);
  enum class Sent : std::uint8_t { ok, full, closed };
  /// Hands a message over; `full`: it has not, and await_room() is to be waited for.
  Sent send(Opcode opcode, std::string_view payload);
  /// The same as it is, without a copy.
  Sent send_plain(Opcode opcode, Chunk payload);
  /// Whether send() makes something else of a message of this size.
  bool compresses(std::size_t size) const;
  /// The same with one that others get too, for which nobody waits: who has no room is closed.
  Sent send(const SharedMessage& message);
  Sent ping(std::string_view payload);
  /// Blocks until there is room, or until then: `full`.
  Sent await_room(std::optional<SteadyTime> until);
  /// Says goodbye; what has been sent before comes first. Nothing if it is closing already.
  /// `forget`: what has come and was not received is of no interest any more.
  void close(const Close& why, bool forget = false);
  /// Without a reader: it ends with its last user, and not with a call of the application's.
  void leave_to_user();
  /// It has no user any more.
  void forsake();
  /// Blocks until it is closed, or until then. Whether it is.
  bool wait_closed(std::optional<SteadyTime> until);

  bool is_open() const;
  bool is_closed() const;
  /// Once it is closed, why.
  Close closed_by() const;
  /// Its messages are its reader's alone.
  bool is_evented() const { return evented_; }
  /// What is sent is compressed one after the other, which may take a while.
  bool keeps_context() const { return deflater_ != nullptr; }
  const std::shared_ptr<Exchange>& exchange() const { return exchange_; }

  // ---- whoever changes the exchange
  void on_change() override;
  std::size_t take(std::string_view bytes) override;

 private:
  friend class Sessions;
  enum class State : std::uint8_t { open, closing, closed };
  enum class End : std::uint8_t { gracefully, abruptly, gone };
  /// What the client has brought about, and does not come before `answers_until`.
  struct Ending {
    Close why;
    SteadyTime answers_until;
  };

  void pump();
  void read(std::string_view& bytes);
  bool reads_on();
  bool on_message(Message message) override;
  void on_ping(std::string_view payload) override;
  void on_pong() override {}
  void on_close(Close close) override;
  void end_after_answers(Close why, bool is_fault);
  void conclude();
  void end(Close why, End how);
  Sent push(std::string frame);
  Sent push(Chunk chunk);
  Sent room_now();
  void settle_reading();
  Sent no_room();
  void tell_reader();
  void count_received();
  void count_sent();
  // With the mutex.
  void settle_memory();
  bool inbox_is_full() const;
  Message take_message();
  bool has_news() const { return front_ < inbox_.size() || state_ == State::closed; }

  /// What is due now: a ping, or the end of patience. When to look again.
  SteadyTime look(SteadyTime now);

  const std::shared_ptr<Exchange> exchange_;
  const Rules rules_;
  Sessions& sessions_;
  Sessions::Place place_;  // the registry's

  // ---- of whoever pumps, one at a time
  std::atomic<std::uint32_t> changes_{0};  // that are not seen to yet
  MessageReader reader_;
  std::string rest_;                  // has come, and waits for room in the inbox
  std::optional<Close> peers_close_;  // just read
  std::atomic<SteadyTime::rep> heard_at_;

  // ---- of who sends
  std::mutex sending_;  // keeps frames in the order of what was compressed or closed
  std::unique_ptr<Deflater> deflater_;  // null: it keeps no context

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  State state_ = State::open;
  bool paused_ = false;  // the inbox is full
  bool told_ = false;    // the reader
  bool busy_ = false;    // the application has a message, and has not asked for the next
  std::optional<Ending> ending_;
  bool evented_ = false;  // constant once it has begun
  bool left_to_user_ = false;
  bool forsaken_ = false;
  std::weak_ptr<Reader> news_;
  std::vector<Message> inbox_;
  std::size_t front_ = 0;
  std::size_t octets_ = 0;   // in the inbox
  std::size_t reading_ = 0;  // of what is no message yet
  std::size_t held_ = 0;     // as the exchange was told
  Close close_;              // why it is closing, or closed
  SteadyTime closing_since_;
  SteadyTime pinged_at_;
  bool pinged_ = false;
};

}  // namespace prowingen::websocket
