// One request for control on its way to whoever answers the control socket, and the answer's way
// back, line by line as it comes.
//
//   client <==> Exchange <==> Relay <==socketpair, its other end through the door==> Endpoint
//
//   asking --the content is whole--> waiting --what tells a status--> telling --end--> over
//      |                                |                                |              ^
//      +-- late: 408, long: 413 --------+-- late: 504, gone: 503 --------+--------------+
//
// A client that leaves ends the conversation. An answer that ends without a result, as when the
// server itself ends meanwhile, is cut, and so does not look whole.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "admin/requests.h"
#include "core/chunk.h"
#include "core/exchange.h"
#include "core/forks.h"
#include "event_loop/event_loop.h"
#include "http/refusal.h"

namespace prowingen::admin {

class Relays;

/// The relays' own thread, except for on_change().
class Relay final : public ExchangeWatcher,
                    public std::enable_shared_from_this<Relay>,
                    private ReadyHandler {
 public:
  /// `question`: what to ask; empty: the request's content.
  Relay(Relays& relays, std::shared_ptr<Exchange> exchange, std::string question);
  ~Relay() override = default;

  /// Any thread.
  void on_change() override;

  /// Does what can be done by now.
  void pump();
  /// To be called a few times a second: sees to what is late, and whether the client is there.
  void look(SteadyTime now);
  /// The server stops.
  void cut();
  bool is_over() const { return state_ == State::over; }
  const std::shared_ptr<Exchange>& exchange() const { return exchange_; }

 private:
  enum class State : std::uint8_t { asking, waiting, telling, over };

  void move();
  void read_content();
  void ask(std::string question);
  void read_answer();
  void begin_answer();
  void end_answer();
  void push(std::string bytes, bool last);
  void want();
  void refuse(const Refusal& refusal);
  void end();
  void on_ready(Interest) override { pump(); }
  void on_broken() override { pump(); }

  Relays& relays_;
  const std::shared_ptr<Exchange> exchange_;
  std::string question_;
  State state_ = State::asking;
  SteadyTime deadline_;
  std::string content_;
  std::string first_;  // of the answer, until a status is known
  LineWatch lines_;
  bool full_ = false;
  std::atomic<bool> scheduled_{false};
  UniqueFd socket_;
  std::unique_ptr<KeptFromChildren> kept_;  // a child's copy would keep the conversation going
  std::unique_ptr<EventLoop::Watch> watch_;
};

}  // namespace prowingen::admin
