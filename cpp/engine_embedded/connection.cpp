#include "engine_embedded/connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <system_error>

#include "access_log/exchange.h"
#include "core/engine_figures.h"
#include "core/unacknowledged.h"
#include "engine_embedded/io_thread.h"
#include "engine_embedded/socket_ops.h"

namespace prowingen::embedded {
namespace {

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
      out_(io.spare_text()) {
  read_deadline_.connection = write_deadline_.connection = this;
}

Connection::~Connection() {
  io_.deadlines().disarm(read_deadline_);
  io_.deadlines().disarm(write_deadline_);
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
    if (includes(ready, Interest::read) && wants_input()) receive_input();
  });
}

void Connection::output_ready() {
  handle([&] { flush(); });
}

void Connection::body_wanted(Http1Exchange& exchange) {
  handle([&] { resume_body(exchange); });
}

void Connection::reject(Http1Exchange& exchange) {
  handle([&] { refuse_unqueued(exchange); });
}

// What has come is read first: this process may not have run for a while, stopped or without a
// core, and its client is not to blame for that.
void Connection::on_timeout(Timeout kind) {
  handle([&] {
    const auto requests = requests_;
    for (int look = 0; look < last_looks && still_due(kind, requests); ++look) {
      if (!wants_input() || !receive_input()) break;
    }
    if (still_due(kind, requests)) handle_timeout(kind);
  });
}

void Connection::watch() {
  if (reading_ == Reading::closed) return;
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
  for (const auto& exchange : pipeline_) abandon(*exchange, Departure::client_closed);
  pipeline_.clear();
  if (held_) abandon(*std::exchange(held_, nullptr), Departure::client_closed);
  if (reset_on_close_) return close(Departure::client_closed);
  const bool all_read = reading_ == Reading::done && carried_.empty() && !unread_input_;
  if (all_read || peer_finished_) return close(Departure::client_closed);
  channel_.shut_down_writing();
  reading_ = Reading::linger;
  pause_ = Pause::none;
  carried_ = {};
  discard_left_ = io_.options().drain_limit + 1;
  io_.deadlines().arm(read_deadline_, Timeout::linger, io_.now());
}

bool Connection::still_due(Timeout kind, unsigned requests) const {
  if (reading_ == Reading::closed) return false;
  switch (kind) {
    case Timeout::header: return reading_ == Reading::head && requests_ == requests;
    case Timeout::keep_alive:
    case Timeout::drain: return idle() && !read_deadline_.armed();
    case Timeout::body:
      return (reading_ == Reading::body || reading_ == Reading::discard) && pause_ == Pause::none &&
             !read_deadline_.armed();
    case Timeout::linger: return reading_ == Reading::linger;
    case Timeout::write: break;
  }
  return true;
}

void Connection::handle_timeout(Timeout kind) {
  switch (kind) {
    case Timeout::header:
      if (carried_.empty()) return close(Departure::client_closed);
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
    case Timeout::keep_alive:
    case Timeout::linger:
    case Timeout::drain: return close(Departure::client_closed);
  }
}

void Connection::drain() {
  if (!idle()) {
    return;  // its next answer says `Connection: close`
  }
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
  io_.deadlines().disarm(read_deadline_);
  io_.deadlines().disarm(write_deadline_);
  for (const auto& exchange : pipeline_) {
    // Its end is the connection's end, so only a reset tells that it is not whole.
    if (exchange->head_written && exchange->framing == ResponseFraming::until_close) {
      reset_on_close_ = true;
    }
    abandon(*exchange, why);  // first: afterwards no worker writes to what is logged
    log(*exchange, exchange->head_written ? exchange->response.status : 0, false);
  }
  pipeline_.clear();
  if (held_) abandon(*std::exchange(held_, nullptr), why);
  if (incoming_) abandon(*std::exchange(incoming_, nullptr), why);
  out_.clear();
  if (reset_on_close_) {
    const linger abortive{1, 0};
    ::setsockopt(channel_.socket(), SOL_SOCKET, SO_LINGER, &abortive, sizeof abortive);
  } else {
    channel_.finish();
  }
  watch_.remove();
  channel_.close();
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
