#include "engine_embedded/connection.h"

#include <algorithm>
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

// Enough for a head of the usual limits.
constexpr int last_looks = 4;
// A turn of one connection; what is left waits until the others had theirs.
constexpr std::uint64_t write_turn = std::uint64_t{1024} * 1024;
// So that a crowd that sends much at once, and is read before anybody can be cut, holds no more
// than ordinary requests do.
constexpr std::size_t read_in_shortage = MemoryCharge::step;

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
    disarm(*deadline);
  }
}

void Connection::arm(Deadline& deadline, Timeout kind) {
  io_.deadlines().arm(deadline, kind, io_.now());
}

void Connection::disarm(Deadline& deadline) { io_.deadlines().disarm(deadline); }

void Connection::start() {
  idle_since_ = io_.now();
  arm(read_deadline_, Timeout::header);
  watch();
}

// ---------------------------------------------------------------------------- from outside

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
    if (io_.context().memory->full() && !lingers() && !reads_on_in_shortage()) {
      return await_memory();
    }
    receive_input();
  });
}

// Its input is not wanted, as a request is being worked on: nobody would learn of it otherwise.
void Connection::on_broken() {
  handle([&] {
    if (peer_state(channel_.socket()) == PeerState::gone) close(Departure::client_closed);
  });
}

void Connection::send_output() {
  handle([&] { flush(); });
}

void Connection::body_wanted(ConnectionExchange& exchange) {
  handle([&] { resume_body(exchange); });
}

void Connection::client_doubted(ConnectionExchange& exchange) {
  handle([&] { look_for_client(exchange); });
}

void Connection::reject(ConnectionExchange& exchange) {
  handle([&] { refuse_unqueued(exchange); });
}

void Connection::drain() {
  handle([&] { begin_drain(); });
}

// A client that has gone meanwhile is read to its end at once, which gives back what it holds: many
// of them would fill each other's room again, and be cut one after another.
void Connection::memory_freed() {
  handle([&] {
    if (!go_on()) return;
    if (peer_state(channel_.socket()) == PeerState::present) return;
    while (wants_input() && receive_input()) {
    }
  });
}

bool Connection::give_up(std::uint64_t held_then) {
  bool given_up = true;
  handle([&] {
    if (refuse_held()) return;
    given_up = memory_held(io_.now()).bytes >= held_then;
    if (given_up) close(Departure::memory_short);
  });
  return given_up;
}

void Connection::watch() {
  if (closed()) return;
  charge_.set(other_memory() + (all_sent() ? 0 : out_.memory() + channel_.held()));
  const auto interest = (wants_input() ? Interest::read : Interest::none) |
                        (waiting_writable_ ? Interest::write : Interest::none);
  if (watch_.wanted() == interest || watch_.want(interest)) return;
  io_.context().report(Severity::error, "cannot watch a connection, which is closed: " +
                                            std::generic_category().message(errno));
  close(Departure::client_closed);
}

// ---------------------------------------------------------------------------- bytes

bool Connection::receive_input() {
  const auto buffer = io_.read_buffer();
  const Transfer transfer =
      channel_.receive(buffer, io_.context().memory->full() ? read_in_shortage : buffer.size());
  // TLS may have had something to say itself, which the socket did not take.
  if (!channel_.flushed() && !waiting_writable_) wait_writable();
  switch (transfer.status) {
    case Transfer::Status::would_block:
      // Of a record of TLS that is not whole nothing is known but that it comes.
      if (received_ == channel_.received()) return false;
      received_ = channel_.received();
      if (!lingers()) note_read();
      return false;
    case Transfer::Status::failed: close(Departure::client_closed); return true;
    case Transfer::Status::end_of_stream:
      lingers() ? close(Departure::client_closed) : on_end_of_stream();
      return true;
    case Transfer::Status::ok: break;
  }
  if (lingers()) {
    received_ = channel_.received();
    if (transfer.bytes >= linger_left_) {
      close(Departure::client_closed);
    } else {
      linger_left_ -= transfer.bytes;
    }
    return true;
  }
  take({buffer.data(), transfer.bytes});
  return true;
}

void Connection::feed(std::string_view input) {
  handle([&] { take(input); });
}

void Connection::take(std::string_view input) {
  const auto come = channel_.received() - received_;
  received_ += come;
  take_input(input);
  if (came_aside()) aside_ += come;
  if (!closed()) note_read();
}

bool Connection::turn_is_over(std::uint64_t written) { return written >= write_turn; }

OutQueue::Result Connection::write_out(std::uint64_t& written) {
  const auto before = written;
  const auto result = out_.write(channel_, written, write_turn);
  sent_ += written - before;
  if (result == OutQueue::Result::all_written) {
    disarm(write_deadline_);
  } else if (result == OutQueue::Result::failed) {
    close(Departure::client_closed);
  } else if (result != OutQueue::Result::file_too_short) {
    wait_writable();
  }
  return result;
}

void Connection::wait_writable() {
  waiting_writable_ = true;
  unacknowledged_ = unacknowledged_bytes(channel_.socket());
  arm(write_deadline_, Timeout::write);
  note_written(sent_ - std::min<std::uint64_t>(sent_, unacknowledged_));
}

// ---------------------------------------------------------------------------- time

bool Connection::due(TimeLimit limit, unsigned requests) const {
  if (closed()) return false;
  switch (limit.kind) {
    case Timeout::linger: return lingers();
    case Timeout::write:
    case Timeout::read_rate:
    case Timeout::write_rate: return true;
    default: return !lingers() && still_due(limit, requests);
  }
}

// What has come is read first: this process may not have run for a while, stopped or without a
// core, and its client is not to blame for that.
void Connection::on_timeout(TimeLimit limit) {
  handle([&] {
    const auto requests = requests_;
    for (int look = 0; look < last_looks && due(limit, requests); ++look) {
      if (!wants_input() || io_.context().memory->full() || !receive_input()) break;
    }
    if (!due(limit, requests)) return;
    switch (limit.kind) {
      case Timeout::linger: return close(Departure::client_closed);
      case Timeout::read_rate: return judge_reading();
      case Timeout::write_rate: return judge_writing();
      case Timeout::write: return limit.stream == 0 ? judge_progress() : handle_timeout(limit);
      default: return handle_timeout(limit);
    }
  });
}

// A socket is writable again only when a good part of its buffer is free. A client that reads
// slowly may need longer for that than write_timeout, but is not idle.
void Connection::judge_progress() {
  const auto left = unacknowledged_bytes(channel_.socket());
  if (left >= unacknowledged_) return close(Departure::write_timeout);
  unacknowledged_ = left;
  arm(write_deadline_, Timeout::write);
}

void Connection::note_read() {
  if (!awaits_rest()) return reading_pace_.rest();
  rest_comes();
  reading_pace_.wait(io_.now(), moved());
  if (read_rate_deadline_.armed() || io_.options().min_rate == 0) return;
  reading_pace_.open_window(io_.now(), moved());
  arm(read_rate_deadline_, Timeout::read_rate);
}

void Connection::judge_reading() {
  if (lingers() || !awaits_rest()) return;  // the next unfinished request opens a window
  const auto rate = static_cast<double>(io_.options().min_rate);
  if (reading_pace_.too_slow(io_.now(), moved(), rate)) return cut_slow_request();
  arm(read_rate_deadline_, Timeout::read_rate);
}

// As far as the kernel knows. Of TLS, what is encrypted counts for a little more than it was.
std::uint64_t Connection::taken_by_client() const {
  return sent_ - std::min<std::uint64_t>(sent_, unacknowledged_bytes(channel_.socket()));
}

void Connection::note_written(std::uint64_t taken) {
  writing_pace_.wait(io_.now(), taken);
  if (write_rate_deadline_.armed() || io_.options().min_rate == 0) return;
  writing_pace_.open_window(io_.now(), taken);
  arm(write_rate_deadline_, Timeout::write_rate);
}

void Connection::judge_writing() {
  if (!awaits_reader()) return;  // the next wait opens a window
  const auto rate = static_cast<double>(io_.options().min_rate);
  if (writing_pace_.too_slow(io_.now(), taken_by_client(), rate)) return cut_slow_reader();
  arm(write_rate_deadline_, Timeout::write_rate);
}

// ---------------------------------------------------------------------------- memory

void Connection::await_memory() {
  pause_for_memory();
  reading_pace_.rest();
  io_.await_memory(shared_from_this());
}

MemoryHolding Connection::memory_held(SteadyTime now) const {
  return {charge_.bytes() + exchange_memory(),
          std::max(reading_pace_.waited(now), writing_pace_.waited(now))};
}

// ---------------------------------------------------------------------------- endings

void Connection::shut_down(bool unread) {
  ending_ = true;
  if (reset_on_close_) return close(Departure::client_closed);
  if (!unread || peer_finished_) return end();
  if (!finish_output()) return;
  channel_.shut_down_writing();
  phase_ = Phase::linger;
  linger_left_ = io_.options().drain_limit + 1;
  arm(read_deadline_, Timeout::linger);
}

// Says in TLS that no more comes. False: the socket is full of what the client has not read, and
// this comes again once that has left.
bool Connection::finish_output() {
  channel_.finish();
  if (channel_.flushed()) return true;
  ending_ = true;
  stop_working();
  disarm(read_deadline_);
  if (!waiting_writable_) wait_writable();
  return false;
}

void Connection::end() {
  if (finish_output()) close(Departure::client_closed);
}

void Connection::close(Departure why) {
  if (closed()) return;
  const auto self = shared_from_this();
  phase_ = Phase::closed;
  disarm_all();
  // What a client does not read would stay with the kernel for as long as it likes.
  if (why == Departure::write_timeout || why == Departure::too_slow ||
      why == Departure::memory_short) {
    reset_on_close_ = true;
  }
  drop_exchanges(why);
  out_.clear();
  charge_.set(0);
  watch_.remove();
  reset_on_close_ ? channel_.reset() : channel_.close();
  io_.forget(*this);
}

Channel Connection::give_away() {
  phase_ = Phase::closed;
  disarm_all();
  charge_.set(0);
  watch_.remove();
  return std::move(channel_);
}

void Connection::log(const ConnectionExchange& exchange, int status, bool complete) {
  log_exchange(io_.context(), exchange, status, complete, requests_);
}

}  // namespace prowingen::embedded
