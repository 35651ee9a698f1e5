#include "engine_embedded/http2_connection.h"

#include <algorithm>
#include <utility>

#include "core/engine_figures.h"
#include "core/peer_state.h"
#include "engine_embedded/io_thread.h"

namespace prowingen::embedded {
namespace {

// A connection's window is open whatever streams wait for, and that of a few streams is enough to
// keep the way to a client full.
constexpr std::uint32_t full_streams = 4;

http2::Settings settings_of(IoThread& io) {
  const auto window = static_cast<std::uint32_t>(io.options().stream_window);
  return {.max_streams = static_cast<std::uint32_t>(io.options().max_streams),
          .stream_window = window,
          .connection_window = full_streams * window,
          .limits = io.limits(),
          .extended_connect = true};
}

}  // namespace

Http2Connection::Http2Connection(IoThread& io, Channel channel, unsigned listener,
                                 std::shared_ptr<const ConnectionInfo> info)
    : Connection(io, std::move(channel), listener, std::move(info)),
      session_(*this, settings_of(io)) {
  drain_deadline_.connection = this;
}

Http2Connection::~Http2Connection() { disarm(drain_deadline_); }

void Http2Connection::begin_with(std::string_view input) { feed(input); }

// ---------------------------------------------------------------------------- input

void Http2Connection::take_input(std::string_view input) {
  const auto before = session_.request_bytes();
  const bool goes_on = session_.receive(input, io_.now());
  came_aside_ = session_.request_bytes() == before;
  const bool head_due = read_deadline_.armed() && read_deadline_.kind == Timeout::header;
  if (session_.in_head()) {
    if (!head_due) arm(read_deadline_, Timeout::header);
  } else if (head_due && requests_ != 0) {
    disarm(read_deadline_);
  }
  if (!goes_on && !std::exchange(ending_, true) && !session_.fault().empty()) {
    io_.count_protocol_error();
    io_.complaints().add(*info_, Complaints::broke_http2, session_.fault(), io_.now());
  }
  flush();
}

// What was asked for is answered, as far as the client's windows are open: they stay as they are.
void Http2Connection::on_end_of_stream() {
  peer_finished_ = true;
  for (const auto& exchange : std::vector(streams_)) {
    exchange->client_finished(io_.now());
    if (!exchange->request_whole) session_.reset(*exchange, http2::ErrorCode::cancel);
  }
  session_.go_away();
  flush();
}

void Http2Connection::look_for_client(ConnectionExchange& exchange) {
  if (!all_sent()) return;  // what is being sent will tell
  const auto client = exchange.look_at_client(channel_.socket(), io_.now(), false);
  if (client == ConnectionExchange::Client::gone) close(Departure::client_closed);
}

// ---------------------------------------------------------------------------- time

Http2Exchange* Http2Connection::find(std::int32_t stream) const {
  const auto found = std::ranges::find_if(
      streams_, [stream](const ExchangePtr& exchange) { return exchange->id == stream; });
  return found == streams_.end() ? nullptr : found->get();
}

bool Http2Connection::still_due(TimeLimit limit, unsigned requests) const {
  switch (limit.kind) {
    case Timeout::header: return requests_ == requests && (session_.in_head() || requests == 0);
    case Timeout::keep_alive: return idle() && !read_deadline_.armed();
    case Timeout::body: {
      const Http2Exchange* exchange = find(limit.stream);
      return exchange != nullptr && !exchange->request_whole && !exchange->read_deadline.armed();
    }
    default: return true;
  }
}

void Http2Connection::handle_timeout(TimeLimit limit) {
  Http2Exchange* exchange = limit.stream == 0 ? nullptr : find(limit.stream);
  switch (limit.kind) {
    case Timeout::body:
      if (exchange != nullptr) on_late_body(*exchange);
      break;
    case Timeout::write:
      if (exchange != nullptr) on_late_reader(*exchange);
      break;
    case Timeout::drain:
      session_.go_away();
      if (idle()) end_session();
      break;
    default: end_session(); break;
  }
  flush();
}

void Http2Connection::on_late_body(Http2Exchange& exchange) {
  // For an answer that is whole, and on its way, the rest of the request is not needed.
  if (exchange.state() == ExchangeState::finished) return;
  refuse(exchange, refusal(RequestFault::request_timeout), Departure::body_timeout);
}

// A stream of little urgency may wait for others; only a client that takes nothing is late.
void Http2Connection::on_late_reader(Http2Exchange& exchange) {
  const auto limit = to_duration(io_.options().write_timeout);
  // What opens its windows may wait to be read.
  if (awaits_memory_) return arm(exchange.write_deadline, Timeout::write);
  const bool others_get_on = !session_.blocked() || io_.now() - last_taken_ < limit;
  if (!session_.blocked(exchange) && others_get_on) {
    return arm(exchange.write_deadline, Timeout::write);
  }
  exchange.depart(Departure::write_timeout);
  session_.reset(exchange, http2::ErrorCode::cancel);
}

void Http2Connection::await_request() {
  idle_since_ = io_.now();
  arm(read_deadline_, Timeout::keep_alive);
}

// In two steps: what the client has sent before it learns of this is still answered.
void Http2Connection::begin_drain() {
  if (std::exchange(draining_, true)) return;
  if (idle() && requests_ != 0 && io_.now() - idle_since_ >= drain_grace) {
    end_session();
  } else {
    session_.announce_end();
    arm(drain_deadline_, Timeout::drain);
  }
  flush();
}

void Http2Connection::end_session() {
  session_.terminate(http2::ErrorCode::no_error);
  ending_ = true;
}

// ---------------------------------------------------------------------------- memory, pace

bool Http2Connection::awaits_rest() const {
  if (awaits_memory_) return false;
  return session_.in_head() || std::ranges::any_of(streams_, [](const ExchangePtr& exchange) {
           return exchange->awaits_body();
         });
}

void Http2Connection::cut_slow_request() {
  if (session_.in_head()) end_session();
  for (const auto& exchange : std::vector(streams_)) {
    if (!exchange->awaits_body()) continue;
    refuse(*exchange, refusal(RequestFault::request_timeout), Departure::too_slow);
  }
  flush();
}

// A client may keep its windows closed as well as its socket full.
bool Http2Connection::awaits_reader() const {
  if (awaits_memory_) return waiting_writable_;
  return waiting_writable_ || std::ranges::any_of(streams_, [](const ExchangePtr& exchange) {
           return exchange->has_output() && exchange->answer_begun;
         });
}

void Http2Connection::cut_slow_reader() {
  if (waiting_writable_) return close(Departure::too_slow);
  for (const auto& exchange : streams_) {
    if (!exchange->has_output()) continue;
    exchange->depart(Departure::too_slow);
    session_.reset(*exchange, http2::ErrorCode::cancel);
  }
  flush();
}

bool Http2Connection::reads_on_in_shortage() const {
  return std::ranges::all_of(streams_, [](const ExchangePtr& exchange) {
    return exchange->request_whole || (exchange->submitted && exchange->body_used_up());
  });
}

bool Http2Connection::go_on() {
  if (!std::exchange(awaits_memory_, false)) return false;
  // The client could not get on: its time begins anew.
  if (session_.in_head()) arm(read_deadline_, Timeout::header);
  for (const auto& exchange : streams_) {
    if (exchange->awaits_body()) await_body(*exchange);
  }
  note_read();
  return true;
}

// As with a pipeline of HTTP/1: of many small answers none would be counted.
std::size_t Http2Connection::other_memory() const {
  const std::size_t beside = streams_.size() > 1 ? streams_.size() - 1 : 0;
  return beside * MemoryCharge::step + session_.held_in_head();
}

std::uint64_t Http2Connection::exchange_memory() const {
  std::uint64_t held = 0;
  for (const auto& exchange : streams_) {
    held += exchange->memory_to_regain() + exchange->waiting_memory();
  }
  return held;
}

bool Http2Connection::refuse_held() {
  bool refused = false;
  for (const auto& exchange : std::vector(streams_)) {
    if (exchange->refused != 0 || !exchange->depart_untaken(Departure::memory_short)) continue;
    refused = true;
    const auto& why =
        exchange->submitted ? short_of_memory : refusal(RequestFault::request_timeout);
    refuse(*exchange, why, Departure::memory_short);
  }
  if (refused) flush();
  return refused;
}

// ---------------------------------------------------------------------------- endings

void Http2Connection::drop_exchanges(Departure why) {
  disarm(drain_deadline_);
  for (const auto& exchange : std::exchange(streams_, {})) {
    exchange->depart(why);
    if (!exchange->framed) log(*exchange, exchange->status(), false);
    forget(*exchange);
  }
  for (const auto& exchange : std::exchange(leaving_, {})) {
    exchange->depart(why);
    log(*exchange, exchange->status(), false);
    forget(*exchange);
  }
  departed_.clear();
  noted_.clear();
}

}  // namespace prowingen::embedded
