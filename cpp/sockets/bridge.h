// A socket for an application that wants one, in place of the connection that it is not given: what
// is written to it goes out on the exchange, what comes in is to be read from it. So it is the same
// over TLS and on every version of HTTP and engine, and the server knows what becomes of it.
//
//   application's end <==socketpair==> our end <==> Bridge <==> Exchange <==> client
//
//   unclaimed --bytes from the application--> head --whole--> open --both ends are over--> over
//       |                                      +---malformed----------------------------->  ^
//       +--- let_pass() --> held --- open() ---------------------> open                     |
//       +--- take_away() -----------------------------------------------------------------> +
//
// An application may answer as any other, or write an answer of its own; whatever comes first is
// the answer. Its end of the socket is over when every copy of it is closed: that, and not the
// return of the application, is the end of the exchange.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "core/chunk.h"
#include "core/exchange.h"
#include "core/forks.h"
#include "event_loop/event_loop.h"

namespace prowingen::sockets {

class BridgeThread;

class Bridge final : public ExchangeWatcher,
                     public std::enable_shared_from_this<Bridge>,
                     private ReadyHandler {
 public:
  struct Ends {
    UniqueFd ours;
    UniqueFd applications;
  };
  /// std::system_error if there are no descriptors left.
  static Ends make_pair();
  /// `high_water`: bytes that may wait to be sent.
  Bridge(BridgeThread& thread, std::shared_ptr<Exchange> exchange, std::size_t high_water,
         Ends ends);
  ~Bridge() override;

  /// The application's end.
  UniqueFd take_socket() { return std::move(applications_); }

  // ---- the worker
  /// The application answers by other means than its socket, which is over then. False: it has
  /// written to that, and what else it says is no answer.
  bool take_away();
  /// It answers with a head of status 101, and goes on by its socket once open() is called. False:
  /// as above.
  bool let_pass();
  void open();
  /// Whether it has written to its socket, and so answered.
  bool has_answered();

  // ---- whoever changes the exchange
  void on_change() override;

 private:
  friend class BridgeThread;
  enum class State : std::uint8_t { unclaimed, head, held, open, over };

  bool claim(State next);
  enum class Written : std::uint8_t { nothing, something, end };
  Written look() const;

  // ---- the bridges' own thread
  bool is_new() const { return watch_ == nullptr && ours_; }
  void begin(EventLoop& loop);
  void pump();
  void move();
  void pump_in();
  void pump_out();
  void push(std::string_view bytes);
  void read_head(std::string_view bytes);
  void refuse_head();
  void end_output();
  void end_input();
  void want();
  void fail();
  void give_up();
  void end();
  void on_ready(Interest ready) override;
  void on_broken() override;

  BridgeThread& thread_;
  const std::shared_ptr<Exchange> exchange_;
  const std::size_t high_water_;
  UniqueFd ours_;
  UniqueFd applications_;
  KeptFromChildren kept_;  // ours: a child's copy would keep the application's end alive
  std::mutex mutex_;       // guards state_ while it is unclaimed, and what follows
  bool answered_ = false;  // by the application, with its socket
  std::atomic<State> state_{State::unclaimed};
  std::atomic<bool> scheduled_{false};

  std::size_t index_ = 0;  // in the thread's list
  std::unique_ptr<EventLoop::Watch> watch_;
  std::string written_;      // of a head that is not whole
  std::string to_read_;      // has come, and waits for the application
  std::size_t read_ = 0;     // of that
  bool input_over_ = false;  // nothing more comes
  bool quiet_ = false;       // the application's end is closed, and it has said nothing
  bool output_over_ = false;
  bool output_full_ = false;
};

}  // namespace prowingen::sockets
