#include "engine_embedded/connection.h"

#include <cerrno>
#include <system_error>

#include "access_log/exchange.h"
#include "core/engine_figures.h"
#include "core/peer_state.h"
#include "core/unacknowledged.h"
#include "engine_embedded/io_thread.h"
#include "engine_embedded/socket_ops.h"

namespace prowingen::embedded {
namespace {

constexpr Refusal queue_full{503, "Service Unavailable",
                             "every worker is busy and the queue is full", ""};
// Enough for a head of the usual limits.
constexpr int last_looks = 4;

}  // namespace

Connection::Connection(IoThread& io, Channel channel, unsigned listener,
                       std::shared_ptr<const ConnectionInfo> info)
    : io_(io),
      channel_(std::move(channel)),
      watch_(io.loop(), channel_.socket(), *this),
      info_(std::move(info)),
      listener_(listener),
      out_(io.spare_text()),
      charge_(io.context().memory.get()) {
  for (Deadline* deadline :
       {&read_deadline_, &write_deadline_, &read_rate_deadline_, &write_rate_deadline_}) {
    deadline->connection = this;
  }
}

Connection::~Connection() { disarm_all(); }

void Connection::disarm_all() {
  for (Deadline* deadline :
       {&read_deadline_, &write_deadline_, &read_rate_deadline_, &write_rate_deadline_}) {
    io_.deadlines().disarm(*deadline);
  }
}

void Connection::start() {
  idle_since_ = io_.now();
  io_.deadlines().arm(read_deadline_, Timeout::header, io_.now());
  watch();
}

template <typename Action>
void Connection::handle(Action action) {
  const auto self = shared_from_this();
  try {
    action();
    if (channel_.at_end() && wants_input()) receive_input();
    watch();
  } catch (const std::exception& error) {
    io_.context().report(Severity::error,
                         std::string("a connection is closed after an error: ") + error.what());
    reset_on_close_ = true;
    close(Departure::client_closed);
  }
}

void Connection::on_ready(Interest ready) {
  handle([&] {
    if (includes(ready, Interest::write)) {
      waiting_writable_ = false;
      flush();
    }
    if (!includes(ready, Interest::read) || !wants_input()) return;
    if (io_.context().memory->full() && !reads_on_in_shortage()) return await_memory();
    receive_input();
  });
}

// Its input is not wanted, as a request is being worked on: nobody would learn of it otherwise.
void Connection::on_broken() {
  handle([&] {
    if (peer_state(channel_.socket()) == PeerState::gone) close(Departure::client_closed);
  });
}

void Connection::output_ready() {
  handle([&] { flush(); });
}

void Connection::body_wanted(Http1Exchange& exchange) {
  handle([&] { resume_body(exchange); });
}

void Connection::client_doubted(Http1Exchange& exchange) {
  handle([&] {
    // What is being sent will tell, and those ahead of it may have something to send.
    if (!all_sent() || pipeline_.empty() || pipeline_.front().get() != &exchange) return;
    if (exchange.client_is_gone(channel_.socket(), io_.now())) close(Departure::client_closed);
  });
}

void Connection::reject(Http1Exchange& exchange) {
  handle([&] { refuse_unqueued(exchange, queue_full); });
}

// What has come is read first: this process may not have run for a while, stopped or without a
// core, and its client is not to blame for that.
void Connection::on_timeout(Timeout kind) {
  handle([&] {
    const auto requests = requests_;
    for (int look = 0; look < last_looks && still_due(kind, requests); ++look) {
      if (!wants_input() || io_.context().memory->full() || !receive_input()) break;
    }
    if (still_due(kind, requests)) handle_timeout(kind);
  });
}

// A client that has gone meanwhile is read to its end at once, which gives back what it holds: many
// of them would fill each other's room again, and be cut one after another.
void Connection::memory_freed() {
  handle([&] {
    if (pause_ != Pause::memory) return;
    read_on();
    if (peer_state(channel_.socket()) == PeerState::present) return;
    while (wants_input() && receive_input()) {
    }
  });
}

void Connection::give_up() {
  handle([&] { give_up_held(); });
}

void Connection::watch() {
  if (reading_ == Reading::closed) return;
  // An exchange costs about a step with an answer that is too small to be counted; of many that
  // wait for the first one's client that would be much.
  const std::size_t behind = pipeline_.size() > 1 ? pipeline_.size() - 1 : 0;
  charge_.set((carried_.empty() ? 0 : carried_.capacity()) +
              (all_sent() ? 0 : out_.memory() + channel_.held()) + behind * MemoryCharge::step);
  const auto interest = (wants_input() ? Interest::read : Interest::none) |
                        (waiting_writable_ ? Interest::write : Interest::none);
  if (watch_.wanted() == interest || watch_.want(interest)) return;
  io_.context().report(Severity::error, "cannot watch a connection, which is closed: " +
                                            std::generic_category().message(errno));
  close(Departure::client_closed);
}

// ---------------------------------------------------------------------------- endings

// Closes so that the client gets everything: data that is unread at close makes the kernel send
// a reset, which can overtake the answer (RFC 9112 section 9.6).
void Connection::shut_down_gracefully() {
  answers_over_ = true;
  for (const auto& exchange : pipeline_) abandon(*exchange, Departure::client_closed);
  pipeline_.clear();
  if (held_) abandon(*std::exchange(held_, nullptr), Departure::client_closed);
  if (reset_on_close_) return close(Departure::client_closed);
  unread_input_ |= reading_ != Reading::done || !carried_.empty();
  carried_ = {};
  if (!unread_input_ || peer_finished_) return end();
  if (!finish_output()) return;
  channel_.shut_down_writing();
  reading_ = Reading::linger;
  pause_ = Pause::none;
  discard_left_ = io_.options().drain_limit + 1;
  io_.deadlines().arm(read_deadline_, Timeout::linger, io_.now());
}

// Says in TLS that no more comes. False: the socket is full of what the client has not read, and
// after_answer() shuts down once that has left.
bool Connection::finish_output() {
  channel_.finish();
  if (channel_.flushed()) return true;
  answers_over_ = last_answer_ = true;
  reading_ = Reading::done;
  io_.deadlines().disarm(read_deadline_);
  if (!waiting_writable_) wait_writable();
  return false;
}

// Closes a connection that owes nobody anything.
void Connection::end() {
  if (finish_output()) close(Departure::client_closed);
}

bool Connection::still_due(Timeout kind, unsigned requests) const {
  if (reading_ == Reading::closed) return false;
  switch (kind) {
    case Timeout::header:
      return reading_ == Reading::head && pause_ != Pause::memory && requests_ == requests;
    case Timeout::keep_alive:
    case Timeout::drain: return idle() && !read_deadline_.armed();
    case Timeout::body:
      return (reading_ == Reading::body || reading_ == Reading::discard) && pause_ == Pause::none &&
             !read_deadline_.armed();
    case Timeout::linger: return reading_ == Reading::linger;
    case Timeout::write:
    case Timeout::read_rate:
    case Timeout::write_rate: break;
  }
  return true;
}

void Connection::handle_timeout(Timeout kind) {
  switch (kind) {
    case Timeout::header:
      if (carried_.empty()) return end();
      incoming_ = make_exchange();
      return refuse(refusal(RequestFault::request_timeout));
    case Timeout::body:
      if (reading_ == Reading::body && incoming_) {
        if (!incoming_->submitted) return refuse(refusal(RequestFault::request_timeout));
        return close(Departure::body_timeout);
      }
      return close(Departure::client_closed);
    case Timeout::write: {
      // A socket is writable again only when a good part of its buffer is free. A client that
      // reads slowly may need longer for that than write_timeout, but is not idle.
      const auto left = unacknowledged_bytes(channel_.socket());
      if (left >= unacknowledged_) return close(Departure::write_timeout);
      unacknowledged_ = left;
      return io_.deadlines().arm(write_deadline_, Timeout::write, io_.now());
    }
    case Timeout::read_rate: return judge_reading();
    case Timeout::write_rate: return judge_writing();
    case Timeout::keep_alive:
    case Timeout::drain: return end();
    case Timeout::linger: return close(Departure::client_closed);
  }
}

void Connection::drain() {
  if (!idle()) return;  // its next answer says `Connection: close`
  if (requests_ != 0 && io_.now() - idle_since_ >= drain_grace) {
    io_.deadlines().disarm(read_deadline_);
    return on_timeout(Timeout::drain);
  }
  io_.deadlines().arm(read_deadline_, Timeout::drain, io_.now());
}

void Connection::close(Departure why) {
  if (reading_ == Reading::closed) return;
  const auto self = shared_from_this();
  reading_ = Reading::closed;
  disarm_all();
  // What a client does not read would stay with the kernel for as long as it likes.
  if (why == Departure::write_timeout || why == Departure::too_slow ||
      why == Departure::memory_short) {
    reset_on_close_ = true;
  }
  for (const auto& exchange : pipeline_) {
    // Its end is the connection's end, so only a reset tells that it is not whole.
    if (exchange->head_written && exchange->framing == ResponseFraming::until_close) {
      reset_on_close_ = true;
    }
    abandon(*exchange, why);  // first: afterwards no worker writes to what is logged
    log(*exchange, exchange->head_written ? exchange->response.status : 0, false);
    exchange->forget_request();
  }
  pipeline_.clear();
  for (auto* left : {&held_, &incoming_}) {
    if (!*left) continue;
    abandon(**left, why);
    (*left)->forget_request();
    left->reset();
  }
  out_.clear();
  carried_ = {};
  charge_.set(0);
  watch_.remove();
  reset_on_close_ ? channel_.reset() : channel_.close();
  io_.forget(*this);
}

std::shared_ptr<Http1Exchange> Connection::make_exchange() {
  auto exchange = io_.make_exchange();
  exchange->peer = info_;
  return exchange;
}

void Connection::log(const Http1Exchange& exchange, int status, bool complete) {
  log_exchange(io_.context().access_log, exchange, status, complete, requests_);
}

}  // namespace prowingen::embedded
