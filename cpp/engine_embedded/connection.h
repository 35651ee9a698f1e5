// One HTTP/1.x connection: requests in, answers out in the same order. I/O thread only.
//
// Reading side                                  Writing side
//
//   head --whole head--> body --its end--> head   pipeline_: exchanges in order of arrival; the
//    ^                    |                       first `taken_` of them have given all their
//    |                    | its exchange is over  output to out_ and complete when out_ is empty
//    +---- its end ----- discard
//   any --last request parsed--> done --answered--> linger --FIN, limit or time--> closed
//
// Safe requests without a body are handed over ahead of the answers before them, up to
// pipeline_depth (RFC 9112 section 9.3.2 allows that for safe methods); any other request is held
// until the pipeline is empty. Nothing is read while a request is held or a body is over its
// high-water mark, so that a client cannot make the server store more than that.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/client_pace.h"
#include "core/exchange.h"
#include "core/memory_budget.h"
#include "engine_embedded/channel.h"
#include "engine_embedded/deadlines.h"
#include "engine_embedded/event_loop.h"
#include "engine_embedded/http1_exchange.h"
#include "engine_embedded/out_queue.h"
#include "http/refusal.h"
#include "http1/request_parser.h"

namespace prowingen::embedded {

using http1::BodySink;
using http1::RequestParser;

class IoThread;

class Connection final : public std::enable_shared_from_this<Connection>,
                         private ReadyHandler,
                         private BodySink {
 public:
  Connection(IoThread& io, Channel channel, unsigned listener,
             std::shared_ptr<const ConnectionInfo> info);
  ~Connection();

  void start();
  /// An exchange of this connection has output.
  void output_ready();
  /// A worker waits for the exchange's body.
  void body_wanted(Http1Exchange& exchange);
  /// A worker has nothing to send for the exchange, and wants to know whether it should go on.
  void client_doubted(Http1Exchange& exchange);
  /// The queue of requests is full.
  void reject(Http1Exchange& exchange);
  void on_timeout(Timeout kind);
  /// The server drains: answer what is under way, then close.
  void drain();
  /// The memory budget may have room again: read on.
  void memory_freed();
  /// How much it holds for a client that does not get on, and for how long; 0: nothing.
  MemoryHolding memory_held(SteadyTime now) const;
  /// Gives up what it holds, since memory is short.
  void give_up();
  void close(Departure why);

  // Place in the I/O thread's list of connections.
  std::size_t index = 0;
  // Whether it is among those that wait for memory.
  bool in_memory_queue = false;

 private:
  enum class Reading : std::uint8_t { head, body, discard, done, linger, closed };
  /// Why nothing is read although the state would.
  enum class Pause : std::uint8_t { none, pipeline, body, memory };

  using ExchangePtr = std::shared_ptr<Http1Exchange>;

  // connection.cpp: the life of a connection
  void on_ready(Interest ready) override;
  void on_broken() override;
  /// Every call from outside goes through here: keeps this alive, tells the loop what to wait for
  /// afterwards, and closes the connection instead of ending the process if memory runs out.
  template <typename Action>
  void handle(Action action);
  /// Whether what a time limit is set for has not come. `requests`: so many had, before a look.
  bool still_due(Timeout kind, unsigned requests) const;
  void handle_timeout(Timeout kind);
  bool wants_input() const {
    return pause_ == Pause::none && reading_ != Reading::done && reading_ != Reading::closed &&
           !peer_finished_;
  }
  /// Tells the loop what this connection waits for now.
  void watch();
  void shut_down_gracefully();
  bool finish_output();
  void end();
  void disarm_all();
  ExchangePtr make_exchange();
  void log(const Http1Exchange& exchange, int status, bool complete);
  bool all_sent() const { return out_.empty() && channel_.flushed(); }
  bool idle() const { return pipeline_.empty() && reading_ == Reading::head && carried_.empty(); }

  // connection_input.cpp: from bytes to requests that are handed over or refused
  /// False: nothing has come.
  bool receive_input();
  void resume_body(Http1Exchange& exchange);
  void refuse_unqueued(Http1Exchange& exchange, const Refusal& refusal);
  void consume_input();
  std::size_t consume(std::string_view input);
  std::size_t consume_head(std::string_view input);
  std::size_t consume_body(std::string_view input);
  void on_head(bool request_done);
  void on_body(std::string_view bytes) override;
  void on_body_end();
  void on_end_of_stream();

  void dispatch(ExchangePtr exchange);
  void submit(const ExchangePtr& exchange);
  void abandon(Http1Exchange& exchange, Departure why);
  void refuse(const Refusal& refusal, Departure why = Departure::malformed_body);
  void send_refusal();

  // connection_output.cpp: from answers to bytes
  void flush();
  void wait_writable();
  bool has_room_for_output() const;
  bool collect();
  void frame(Http1Exchange& exchange, Exchange::Output& output);
  bool decide_keep_alive(const Http1Exchange& exchange) const;
  void complete_taken();
  void after_answer();

  // connection_holdings.cpp: what it holds of the memory budget, and how fast its client is
  bool awaits_rest() const;
  void note_read();
  void judge_reading();
  void judge_writing();
  std::uint64_t taken_by_client() const;
  bool reads_on_in_shortage() const;
  void await_memory();
  void read_on();
  void give_up_held();
  void refuse_unfinished(Departure why);

  IoThread& io_;
  Channel channel_;
  EventLoop::Watch watch_;
  std::shared_ptr<const ConnectionInfo> info_;
  const unsigned listener_;

  Reading reading_ = Reading::head;
  Pause pause_ = Pause::none;
  bool peer_finished_ = false;  // its FIN was read
  std::string carried_;         // input not consumed yet
  std::size_t scanned_ = 0;     // of carried_: no line ends there that was not tried
  std::optional<RequestParser> parser_;
  ExchangePtr incoming_;  // whose head or body is being received
  std::vector<ExchangePtr> pipeline_;
  ExchangePtr held_;                  // parsed, waits for the pipeline to empty
  const Refusal* refusal_ = nullptr;  // answered when the pipeline is empty
  ExchangePtr refused_;               // for the access log
  bool continue_due_ = false;         // 100 Continue is due when incoming_'s body is first read
  bool body_not_stored_ = false;      // of incoming_, which is to be refused
  std::uint64_t discard_left_ = 0;

  std::size_t taken_ = 0;
  OutQueue out_;
  bool waiting_writable_ = false;
  std::size_t unacknowledged_ = 0;  // when the wait for writability began
  bool answers_over_ = false;       // an answer said, or meant by ending early, that it is the last
  bool unread_input_ = false;       // input may follow that nobody will read
  bool last_answer_ = false;        // the connection closes after what is in the pipeline
  bool reset_on_close_ = false;     // closing cleanly would make a cut answer look whole

  Deadline read_deadline_;
  Deadline write_deadline_;
  Deadline read_rate_deadline_;  // armed while an unfinished request is about, and a while longer
  Deadline write_rate_deadline_;
  ClientPace reading_pace_;
  ClientPace writing_pace_;
  std::uint64_t received_ = 0;  // off the socket
  std::uint64_t sent_ = 0;      // to the socket
  MemoryCharge charge_;         // input that is not consumed, output that is not sent
  SteadyTime idle_since_;
  unsigned requests_ = 0;
};

}  // namespace prowingen::embedded
