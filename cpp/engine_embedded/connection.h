// One connection, whatever version of HTTP is spoken on it: its socket, the output that waits for
// it, its time limits, its part of the memory budget, and its end. What bytes mean is a derived
// class's. I/O thread only.
//
//   open --shut_down()--> linger --the client's end, limit or time--> closed
//     |                                                                 ^
//     +--nothing may come that is unread, or close()--------------------+
//
// Everything from outside goes through one of the public functions, and each of them through
// handle(), which tells the loop afterwards what is waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/client_pace.h"
#include "core/exchange.h"
#include "core/memory_budget.h"
#include "core/memory_watch.h"
#include "engine_embedded/channel.h"
#include "engine_embedded/connection_exchange.h"
#include "engine_embedded/deadlines.h"
#include "engine_embedded/out_queue.h"
#include "event_loop/event_loop.h"

namespace prowingen::embedded {

class IoThread;

class Connection : public std::enable_shared_from_this<Connection>, private ReadyHandler {
 public:
  Connection(IoThread& io, Channel channel, unsigned listener,
             std::shared_ptr<const ConnectionInfo> info);
  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// An exchange of this connection has output. It is sent by send_output(), after all that have
  /// some have been noted: what is ready leaves in one system call.
  virtual void note_output(ConnectionExchange&) {}
  void send_output();
  /// A worker waits for the exchange's body.
  void body_wanted(ConnectionExchange& exchange);
  /// A worker has nothing to send for the exchange, and wants to know whether it should go on.
  void client_doubted(ConnectionExchange& exchange);
  /// The queue of requests is full.
  void reject(ConnectionExchange& exchange);
  void on_timeout(TimeLimit limit);
  /// The server drains: answer what is under way, then close.
  void drain();
  /// The memory budget may have room again: read on.
  void memory_freed();
  /// How much it holds for a client that does not get on, and for how long; 0: nothing.
  MemoryHolding memory_held(SteadyTime now) const;
  /// Gives up what it holds, since memory is short. False: that has become less since it was looked
  /// at; a worker has taken a request meanwhile, or the client an answer.
  bool give_up(std::uint64_t held_then);
  void close(Departure why);

  // Place in the I/O thread's list of connections.
  std::size_t index = 0;
  // The major version of HTTP that it is listed for.
  int spoken = 1;
  // Whether it is among those that wait for memory.
  bool in_memory_queue = false;

 protected:
  // ---- what a version of HTTP does

  /// Whether more is read, of a connection that is open.
  virtual bool reads() const = 0;
  virtual void take_input(std::string_view input) = 0;
  virtual void on_end_of_stream() = 0;
  /// Writes what is ready until the socket takes no more.
  virtual void flush() = 0;
  virtual void resume_body(ConnectionExchange& exchange) = 0;
  virtual void look_for_client(ConnectionExchange& exchange) = 0;
  virtual void refuse_unqueued(ConnectionExchange& exchange) = 0;
  /// Whether what a time limit is set for has not come. `requests`: so many had, before a look.
  virtual bool still_due(TimeLimit limit, unsigned requests) const = 0;
  virtual void handle_timeout(TimeLimit limit) = 0;
  virtual void begin_drain() = 0;
  /// Nothing that was begun is gone on with: no input is wanted, no answer follows.
  virtual void stop_working() = 0;
  /// Ends all exchanges and lets go of all input.
  virtual void drop_exchanges(Departure why) = 0;

  /// Whether the client is in the middle of a request and its rest is wanted.
  virtual bool awaits_rest() const = 0;
  /// Whether what was taken last had nothing of a request in it.
  virtual bool came_aside() const { return false; }
  /// Some of that has come, or of a record of TLS that it is in.
  virtual void rest_comes() {}
  /// Of a client that did not get on with that.
  virtual void cut_slow_request() = 0;
  /// Whether the client is to take what is sent to it.
  virtual bool awaits_reader() const { return waiting_writable_; }
  /// Of a client that did not get on with that.
  virtual void cut_slow_reader() { close(Departure::too_slow); }
  virtual bool reads_on_in_shortage() const = 0;
  /// Memory is short, and it reads no more.
  virtual void pause_for_memory() = 0;
  /// There is room again. False: that is not what it waits for.
  virtual bool go_on() = 0;
  /// Answers that there is no room for requests that no worker has. False: there are none.
  virtual bool refuse_held() = 0;
  /// What it holds besides exchanges and output.
  virtual std::size_t other_memory() const = 0;
  virtual std::uint64_t exchange_memory() const = 0;

  // ---- what they use for it

  bool closed() const { return phase_ == Phase::closed; }
  bool lingers() const { return phase_ == Phase::linger; }
  bool wants_input() const {
    return phase_ != Phase::closed && !peer_finished_ && (phase_ == Phase::linger || reads());
  }
  /// False: nothing has come.
  bool receive_input();
  /// Takes input that did not come from the socket.
  void feed(std::string_view input);
  /// Bytes that the socket has taken, or TLS for it.
  std::uint64_t sent() const { return sent_; }
  bool all_sent() const { return out_.empty() && channel_.flushed(); }
  /// Writes of out_ what the socket takes, in a turn; `written` counts it. Waits for the socket if
  /// that was not all, and closes the connection if it failed. A file that is too short is the
  /// caller's.
  OutQueue::Result write_out(std::uint64_t& written);
  static bool turn_is_over(std::uint64_t written);
  void wait_writable();
  void arm(Deadline& deadline, Timeout kind);
  void disarm(Deadline& deadline);

  /// Ends a connection whose last answer is sent. `unread`: more may come that nobody will read.
  /// Data that is unread at a close makes the kernel send a reset, which can overtake the answer
  /// (RFC 9112 section 9.6).
  void shut_down(bool unread);
  /// Ends a connection that owes nobody anything.
  void end();
  /// Ends this object alone: the connection goes on with another.
  Channel give_away();

  /// Of what was sent.
  std::uint64_t taken_by_client() const;
  /// After input was taken or wanted: how fast it comes is watched.
  void note_read();
  /// What is sent waits for the client: likewise.
  void note_written(std::uint64_t taken);
  void log(const ConnectionExchange& exchange, int status, bool complete);

  IoThread& io_;
  Channel channel_;
  EventLoop::Watch watch_;
  std::shared_ptr<const ConnectionInfo> info_;
  const unsigned listener_;
  OutQueue out_;

  bool peer_finished_ = false;   // its FIN was read
  bool reset_on_close_ = false;  // closing cleanly would make a cut answer look whole
  bool waiting_writable_ = false;
  bool ending_ = false;  // once all is sent
  Deadline read_deadline_;
  Deadline write_deadline_;
  Deadline read_rate_deadline_;  // armed while an unfinished request is about, and a while longer
  Deadline write_rate_deadline_;
  ClientPace reading_pace_;
  ClientPace writing_pace_;
  SteadyTime idle_since_;
  unsigned requests_ = 0;

 private:
  enum class Phase : std::uint8_t { open, linger, closed };

  void on_ready(Interest ready) override;
  void on_broken() override;
  /// Keeps this alive, tells the loop what to wait for afterwards, and closes the connection
  /// instead of ending the process if memory runs out.
  template <typename Action>
  void handle(Action action);
  void watch();
  bool due(TimeLimit limit, unsigned requests) const;
  void take(std::string_view input);
  /// By its client, of requests.
  std::uint64_t moved() const { return received_ - aside_; }
  void judge_reading();
  void judge_writing();
  void judge_progress();
  void await_memory();
  bool finish_output();
  void disarm_all();

  Phase phase_ = Phase::open;
  std::uint64_t linger_left_ = 0;
  std::size_t unacknowledged_ = 0;  // when the wait for writability began
  std::uint64_t received_ = 0;      // off the socket
  std::uint64_t aside_ = 0;         // of that, what is no part of a request
  std::uint64_t sent_ = 0;          // to the socket
  MemoryCharge charge_;             // input that is not consumed, output that is not sent
};

}  // namespace prowingen::embedded
